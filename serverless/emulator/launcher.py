"""Starts an embedded server for the time of a run, and stops it."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from machine.credentials import without_credentials
from serverless.emulator.settings import EmulatorSettings

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 15.0
_LOG_LINES_SHOWN = 10


class EmulatorStartError(Exception):
    """The server ended, or said nothing, before it was ready; the message holds the end of its log."""


@dataclass(frozen=True)
class EmulatorHandle:
    """A running server.

    Parameters
    ----------
    api_host
        Its address, e.g. ``http://127.0.0.1:41233``; the API is below ``/api/v1``.
    auth
        The key ``uuid:key`` for Basic authentication.
    pid
        Its process; containers are children of it. Both carry ``FL_PROCESS_ROLE`` in their environment:
        ``emulator``, and the name of the action.
    memory_enforcement
        What holds containers to their memory: ``cgroup-v1``, ``cgroup-v2`` or ``watchdog``.
    addresses
        The address of each platform's API, ``api_host`` being the first.
    """

    api_host: str
    auth: str = field(repr=False)
    pid: int
    memory_enforcement: str
    addresses: dict[str, str] = field(default_factory=dict)


@contextmanager
def start_emulator(
    settings: EmulatorSettings, log_path: Path, platforms: Sequence[str] = ("openwhisk",)
) -> Iterator[EmulatorHandle]:
    """Run a server for the time of the context, with all its containers.

    It also ends by itself when this process does, whatever ends it. Its key is made for it alone; of this process's
    environment it gets what programs need to start, and no credentials.

    Parameters
    ----------
    settings
        Limits and pool.
    log_path
        Where its log is written; its folder is made.
    platforms
        Whose APIs it serves, all with the one pool of containers: names in
        :data:`serverless.emulator.platform_apis.APIS`.

    Raises
    ------
    EmulatorStartError
        If the server is not ready within 30 s.

    Examples
    --------
    >>> import requests, tempfile
    >>> with start_emulator(EmulatorSettings(), Path(tempfile.mkdtemp(), "emulator.log")) as emulator:
    ...     requests.get(f"{emulator.api_host}/api/v1").json()["description"]
    'OpenWhisk API'
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "serverless.emulator", "--config", "-", "--with-parent", str(os.getpid())),
                *(f"--platform={name}" for name in platforms),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**without_credentials(os.environ), "FL_PROCESS_ROLE": "emulator"},
            start_new_session=True,  # Ctrl-C is for the run, which then stops the server in its own order
        )
    try:
        yield _handshake(process, settings, log_path)
    finally:
        _stop(process)


def _handshake(process: subprocess.Popen[bytes], settings: EmulatorSettings, log_path: Path) -> EmulatorHandle:
    assert process.stdin and process.stdout
    with process.stdin:
        process.stdin.write(json.dumps(settings.to_dict()).encode())
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(_START_TIMEOUT_S) else b""
    if not line:
        log = log_path.read_text("utf-8", errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        raise EmulatorStartError("\n".join(("the embedded server did not start; its log ends with:", *log)))
    return EmulatorHandle(**json.loads(line))


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()  # its containers end with it
        process.wait()
    if process.stdout:
        process.stdout.close()
