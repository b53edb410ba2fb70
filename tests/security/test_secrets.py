"""A whole run with known secrets: they are looked for in /proc while it goes on, and afterwards in all that it left."""

import base64
import os
import re
import secrets
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow.parquet
import pytest

from experiments.config.schema import CONFIGS
from serverless.emulator.launcher import start_emulator
from serverless.emulator.settings import EmulatorSettings
from tests.support.local_s3 import start_minio
from tests.support.tiers import starts

# What a credential that was made up during the run looks like: uuid:key, the signature of a granted URL, a TLS key.
SHAPES = (
    rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[\w-]{20,}",
    rb"X-(Amz|Goog)-Signature=[0-9a-f]+",
    rb"AKIA[A-Z0-9]{16}",
    rb"PRIVATE KEY-----",
)
ITS_OWN = ("object_store", "MINIO_SECRET_KEY")  # the store must know by what it lets others in


@dataclass
class Watch:
    """Looks at every process of the machine, and closer at our own, again and again while a run goes on."""

    needles: dict[str, str]
    in_command_lines: set = field(default_factory=set)
    in_environments: set = field(default_factory=set)
    roles: set = field(default_factory=set)
    looks: int = 0

    def look(self):
        self.looks += 1
        ours = {process.pid for process in psutil.Process().children(recursive=True)}
        for process in psutil.process_iter():
            try:
                command = " ".join(process.cmdline())
                environment = process.environ() if process.pid in ours else None
            except (psutil.Error, OSError):
                continue
            self.in_command_lines |= {(name, command) for name, value in self.needles.items() if value in command}
            self.in_command_lines |= {(shape, command) for shape in SHAPES if re.search(shape, command.encode())}
            if environment is not None:
                held = {name for name, value in self.needles.items() if value in environment.values()}
                role = environment.get("FL_PROCESS_ROLE", "command")
                self.roles.add(role)
                self.in_environments |= {(role, name) for name in held}


def follow(command, environment, folder, watch):
    """Run a command to its end under a watch; return its exit code."""
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
        ended = threading.Event()
        watcher = threading.Thread(target=lambda: [watch.look() for _ in iter(lambda: ended.wait(0.1), True)])
        watcher.start()
        try:
            return process.wait(timeout=300)
        finally:
            ended.set()
            watcher.join()
            process.kill()


def contents(folder):
    """Yield the name and the bytes of every file, tables also unpacked."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()
        if path.suffix == ".parquet":
            yield path, str(pyarrow.parquet.read_table(path).to_pylist()).encode()


def found_in(folder, needles):
    spellings = {name: {value.encode(), base64.b64encode(value.encode())} for name, value in needles.items()}
    for path, data in contents(folder):
        yield from ((path, name) for name, ways in spellings.items() if any(way in data for way in ways))
        yield from ((path, shape) for shape in SHAPES if re.search(shape, data))


@pytest.fixture
@starts("server", "training")
def world(tmp_path, mnist_settings, https_before, ca_file):
    """A platform and a store behind HTTPS, whose secrets we know; returns a way to run an experiment on them."""
    with (
        start_emulator(EmulatorSettings(pool_memory_mb=3072, memory_max_mb=1024), tmp_path / "emulator") as platform,
        start_minio(tmp_path / "minio", tmp_path / "minio.log") as store,
    ):
        secret_of_another = secrets.token_hex(16)
        needles = {
            "OPENWHISK_AUTH": platform.auth,
            "the key alone": platform.auth.partition(":")[2],
            "MINIO_SECRET_KEY": store.env["MINIO_SECRET_KEY"],
            "SOMETHING_ELSE": secret_of_another,
        }
        credentials = {"OPENWHISK_AUTH": platform.auth, **store.env, "SOMETHING_ELSE": secret_of_another}
        cluster = [
            f"platform.api_host=https://{https_before(platform.api_host.removeprefix('http://'))}",
            f"platform.ca_file={ca_file}",
        ]
        minio = [
            "store=minio",
            f"store.endpoint={https_before(store.endpoint)}",
            "store.secure=true",
            f"store.ca_file={ca_file}",
        ]

        def run(*words, **changed):
            folder = tmp_path / "here"
            folder.mkdir()
            watch = Watch(needles)
            environment = os.environ | credentials | changed | {"PYTHONPATH": str(CONFIGS.parent)}
            command = [sys.executable, "-m", "experiments.run", "+exp=smoke", f"data.cache={mnist_settings.cache}"]
            code = follow([*command, "rounds=1", *words], environment, folder, watch)
            return code, folder, watch

        yield run, cluster, minio, needles, tmp_path


def test_secrets_are_in_the_environment_of_those_who_use_them_and_nowhere_else(world):
    """On a platform and a store behind HTTPS of a private authority: the whole way is verified."""
    run, cluster, minio, needles, top = world
    code, folder, watch = run("backends=[inprocess,openwhisk]", "model=mlp50", *cluster, *minio)
    said = (folder / "said").read_text()
    assert code == 0, said
    assert list((folder / "results").rglob("rounds.parquet"))
    assert list(found_in(folder, needles)) == []
    for log in (top / "emulator", top / "minio.log"):
        assert not [name for name, value in needles.items() if value.encode() in log.read_bytes()]
    assert watch.looks > 10
    assert watch.in_command_lines == set()
    assert "controller" in watch.roles
    holders = watch.in_environments - {ITS_OWN}
    used = {"OPENWHISK_AUTH", "MINIO_SECRET_KEY"}
    assert {role for role, name in holders if name in used} == {"command", "controller"}
    # SOMETHING_ELSE is the user's own, and not ours to take away; but no function gets to see it
    assert {role for role, _ in holders if role in ("emulator", "aggregator")} == set()


@pytest.mark.parametrize(
    ("words", "roles"),
    [
        pytest.param(("backends=[openwhisk]",), {"emulator", "client", "aggregator"}, id="openwhisk"),
        *(
            pytest.param(words, roles, id=name, marks=pytest.mark.exhaustive)
            for name, words, roles in (
                ("openfaas", ("backends=[openfaas]", "platform=openfaas"), {"emulator", "client", "aggregator"}),
                ("google", ("backends=[google]", "platform=google"), {"emulator", "client", "aggregator"}),
                ("fedkeeper", ("backends=[openwhisk]", "topology=fedkeeper"), {"emulator", "client", "invoker"}),
                ("flower", ("backends=[flower]",), set()),
            )
        ),
    ],
)
def test_servers_and_workers_that_a_run_starts_get_no_credentials(world, words, roles):
    run, _, minio, needles, _ = world
    code, folder, watch = run("model=mlp50", *minio, *words)
    assert code == 0, (folder / "said").read_text()
    assert list(found_in(folder, needles)) == []
    assert watch.in_command_lines == set()
    assert {"controller", *roles} <= watch.roles
    used = watch.in_environments - {ITS_OWN, *((role, "SOMETHING_ELSE") for role in ("command", "controller"))}
    assert {role for role, _ in used} <= {"command", "controller"}
    assert ("controller", "OPENWHISK_AUTH") not in used  # the embedded server has a key of its own
    if not roles:  # Flower has no use for a platform's or a store's credentials
        assert {role for role, _ in used} <= {"command"}


def test_a_run_that_fails_does_not_tell_its_secrets_either(world):
    run, cluster, minio, needles, _ = world
    wrong = f"{'0' * 8}-0000-0000-0000-{'0' * 12}:{secrets.token_urlsafe(32)}"
    code, folder, _ = run("backends=[openwhisk]", "model=mlp50", *cluster, *minio, OPENWHISK_AUTH=wrong)
    assert code == 1
    assert "check the key in $OPENWHISK_AUTH" in "".join(path.read_text() for path in Path(folder).rglob("*.log"))
    assert list(found_in(folder, {**needles, "wrong": wrong, "wrong key": wrong.partition(":")[2]})) == []
