"""A small real world to break: the embedded server and a real S3 server, each behind a failing proxy."""

from __future__ import annotations

import io
import itertools
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from serverless import keeper
from serverless.emulator.launcher import start_emulator
from serverless.emulator.settings import EmulatorSettings
from serverless.invocations.dispatcher import Retries
from serverless.platforms.function_zip import package
from serverless.platforms.openwhisk import client as openwhisk_client
from serverless.platforms.openwhisk.deploy import OpenWhisk
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.rounds.round_policies import RoundPolicy
from serverless.storage import DirectorySettings, MinioSettings, StoreSettings, open_store
from task.data import DataSettings, Images, load_images
from task.engines.runtime import arithmetic
from task.job import FederatedJob
from task.weights import sha256
from tests.faults.cases import Case
from tests.faults.proxy import FaultProxy, faulty
from tests.support.local_s3 import start_minio
from tests.support.replay import counted

JOB = FederatedJob(
    model="mlp50", optimizer="sgd", batch_size=20, local_epochs=1, clients=3, clients_per_round=3, rounds=2, seed=7
)
IMAGES_PER_CLIENT = 40
MEMORY_MB = 512
TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Day:
    """What a run left behind.

    Parameters
    ----------
    rounds, invocations
        Its tables.
    final_sha256
        Hash of its final weights.
    happened
        The faults that were made to happen, by name.
    sent
        Invocations that reached the platform's proxy.
    left
        Keys of objects that are still in the store.
    """

    rounds: pd.DataFrame
    invocations: pd.DataFrame
    final_sha256: str
    happened: list[str] = field(default_factory=list)
    sent: int = 0
    left: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, directory: Path, final_sha256: str, **known: Any) -> Day:
        """Read the tables of a run."""
        rounds, invocations = (read_run(directory, name).to_pandas() for name in ("rounds", "invocations"))
        return cls(rounds, invocations, final_sha256, **known)

    @property
    def participants(self) -> list[tuple[int, ...]]:
        """Return the clients of each round whose updates were averaged, in ascending order."""
        return counted(self.invocations, self.rounds.server_round)


@dataclass
class World:
    """Servers that are shared by many runs; functions stay warm."""

    servers: Servers
    folder: Path
    mnist: Images
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def function_plan(self) -> Path:
        """The file that the client function looks into."""
        return self.folder / "functions.json"

    def live(self, case: Case, policy: RoundPolicy, job: FederatedJob = JOB) -> Day:
        """Make a run on which a fault falls."""
        run_id = f"day-{next(self._numbers)}"
        directory = self.folder / run_id
        directory.mkdir()
        self.plan(case)
        store = DirectorySettings(directory / "drive") if case.directory else self.servers.s3
        settings = behind(f"http://{self.servers.platform.endpoint}", store, policy)
        if case.timeout_s:
            settings = replace(settings, client=replace(settings.client, timeout_s=case.timeout_s))
        recorder = AwayRecorder(run_id, directory)
        recorder.away = (directory / "drive", case.away_s) if case.away_s else None
        weights = keeper.run(job, settings, recorder)
        if recorder.timer:
            recorder.timer.join()
        happened = self.happened(recorder)
        sent = self.servers.platform.verbs["POST"]
        self.servers.store.plan()
        left = open_store(settings.store, f"runs/{run_id}").list()
        left = [info.key for info in left]
        return Day.read(directory, sha256(weights), happened=happened, sent=sent, left=left)

    def plan(self, case: Case) -> None:
        """Have a fault happen from now on."""
        self.servers.platform.plan(*case.platform)
        self.servers.store.plan(*case.store)
        entry = {"kind": case.function, "client_id": 1, "server_round": 1, "attempt": 1}
        self.function_plan.write_text(json.dumps([entry] if case.function else []))
        self.function_plan.with_suffix(".happened").unlink(missing_ok=True)

    def happened(self, recorder: AwayRecorder) -> list[str]:
        """Return the faults that did happen."""
        told = self.function_plan.with_suffix(".happened")
        functions = told.read_text().split() if told.exists() else []
        wires = [each.label for each in (*self.servers.platform.happened, *self.servers.store.happened)]
        return [*wires, *functions, *(["away"] if recorder.timer else [])]


class AwayRecorder(Recorder):
    """Takes the store's folder away between two rounds, and brings it back some seconds later."""

    away: tuple[Path, float] | None = None
    timer: threading.Timer | None = None

    def round(self, *args: Any) -> None:
        """See :class:`Recorder`."""
        super().round(*args)
        if self.away and not self.timer:
            drive, seconds = self.away
            hidden = drive.rename(drive.with_name("hidden"))
            self.timer = threading.Timer(seconds, lambda: hidden.rename(drive))
            self.timer.start()


@dataclass(frozen=True)
class Servers:
    """Real servers behind proxies.

    Parameters
    ----------
    emulator_pid
        The embedded server's process; containers are children of it.
    env
        The credentials of both, as environment variables.
    """

    platform: FaultProxy
    store: FaultProxy
    s3: MinioSettings
    emulator_pid: int
    env: dict[str, str] = field(repr=False)


@contextmanager
def broken_servers(folder: Path, **changes: Any) -> Iterator[Servers]:
    """Start the servers and the proxies for the time of the context; ``changes`` are for :class:`EmulatorSettings`."""
    settings = EmulatorSettings(
        pool_memory_mb=6 * MEMORY_MB,
        memory_max_mb=6 * MEMORY_MB,
        invocations_per_minute=100_000,
        concurrent_invocations=1000,
        container_env=arithmetic(os.environ),
        **changes,
    )
    with ExitStack() as stack:
        emulator = stack.enter_context(start_emulator(settings, folder / "emulator.log"))
        s3 = stack.enter_context(start_minio(folder / "minio", folder / "minio.log"))
        platform = stack.enter_context(faulty(emulator.api_host))
        store = stack.enter_context(faulty(f"http://{s3.endpoint}"))
        store.partner = platform
        env = {**s3.env, "OPENWHISK_AUTH": emulator.auth}
        yield Servers(platform, store, replace(s3.settings(), endpoint=store.endpoint), emulator.pid, env)


@contextmanager
def small_world(folder: Path, data: DataSettings) -> Iterator[World]:
    """Start the servers and the proxies for the time of the context, and have the keeper use them."""
    with broken_servers(folder) as servers, pytest.MonkeyPatch.context() as patch:
        for name, value in servers.env.items():
            patch.setenv(name, value)
        world = World(servers, folder, few_images(data))
        patch.setattr(keeper, "load_images", lambda *_: world.mnist)
        patch.setattr(openwhisk_client, "LOOK_FOR_S", 1.0)
        keep_warm(patch, world.function_plan)
        yield world


def behind(api_host: str, store: StoreSettings, policy: RoundPolicy) -> keeper.ServerlessSettings:
    """Return the settings of a run against some servers, with little patience."""
    return keeper.ServerlessSettings(
        platform=OpenWhiskSettings(api_host=api_host, request_timeout_s=1.0, blocking_s=3.0),
        store=store,
        data=DataSettings(Path()),
        client=FunctionSpec("client", MEMORY_MB, TIMEOUT_S),
        aggregator=FunctionSpec("aggregator", MEMORY_MB, TIMEOUT_S),
        in_flight=JOB.clients_per_round,
        policy=policy,
        retries=Retries(max_attempts=8, max_refused=20, backoff_s=0.2, longest_backoff_s=2.0),
    )


def few_images(data: DataSettings) -> Images:
    """Return so little of MNIST that training takes no time."""
    mnist, count = load_images("mnist", data), JOB.clients * IMAGES_PER_CLIENT
    return replace(
        mnist,
        train_images=mnist.train_images[:count],
        train_labels=mnist.train_labels[:count],
        test_images=mnist.test_images[:100],
        test_labels=mnist.test_labels[:100],
        source="few",
    )


def keep_warm(patch: pytest.MonkeyPatch, plan: Path) -> None:
    """Deploy the client function that fails by plan, and each function once: another deployment starts cold."""
    deploy: Any = OpenWhisk.deploy
    deployed: dict[str, FunctionSpec] = {}

    def once(platform: OpenWhisk, function: FunctionSpec) -> None:
        if deployed.get(function.name) != function:
            deploy(platform, function)
            deployed[function.name] = function

    patch.setattr(OpenWhisk, "deploy", once)
    patch.setattr(
        "serverless.platforms.openwhisk.deploy.package", lambda *args, **more: faulty_package(plan, *args, **more)
    )


def faulty_package(plan: Path, wrapper: str, *rest: Any, **more: Any) -> bytes:
    """Return a function's zip, the client's with another ``__main__.py``."""
    data = package(wrapper, *rest, **more)
    if wrapper != "openwhisk/client":
        return data
    main = Path(__file__).with_name("faulty_client.py").read_text().replace("@PLAN@", str(plan))
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as real, zipfile.ZipFile(buffer, "w") as altered:
        for entry in real.infolist():
            altered.writestr(entry, main if entry.filename == "__main__.py" else real.read(entry))
    return buffer.getvalue()
