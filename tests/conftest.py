"""Shared by the rooms' tests: whole experiments of invented rows, written by the real tables."""

from __future__ import annotations

import asyncio
import shutil
import signal
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import settings

from metrics.collect.phases import PHASES
from metrics.collect.row_files import append
from metrics.collect.row_types import InvocationRow, RoundRow, RunRow, SampleRow
from metrics.collect.tables import collect
from metrics.cost.bill import bill, every_policy, write_bill
from metrics.cost.prices import Billing, FunctionPrice, PriceBook, StorePrice, TrafficPrice, VmPrice
from serverless.functions import store_limit
from task.data import DataSettings, load_images
from tests.support.tiers import TierGuard, marks_of_fixtures, starts

MIB = 2**20

pytest_plugins = ["tests.support.survivors"]

settings.register_profile("house", deadline=None)  # a shared machine may stall; no test depends on time
settings.register_profile("quick", deadline=None, max_examples=20)  # of `make unit`; `make test` looks at 100
settings.load_profile("house")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it in a background job: tests send Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

GUARD = TierGuard()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test by what its fixtures start."""
    for mark in marks_of_fixtures(item):
        item.add_marker(mark)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a test, and the fixtures that are made for it, start what its marks say."""
    GUARD.forget()
    GUARD.allowed = frozenset(mark.name for mark in item.iter_markers())
    try:
        return (yield)
    finally:
        GUARD.allowed = frozenset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Fail a test that started something else."""
    result = yield
    GUARD.check()
    return result


def make_round(run_id: str = "r", server_round: int = 1, **changes: Any) -> RoundRow:
    """A round of 2 s of training, 1 s of fetching and 0.05 s of nothing known, unless told otherwise."""
    phases = {f"{phase}_s": 0.0 for phase in PHASES} | {"train_s": 2.0, "fetch_s": 1.0}
    phases |= {name: value for name, value in changes.items() if name in phases}
    unattributed_s = changes.pop("unattributed_s", 0.05)
    row = RoundRow(
        run_id=run_id,
        server_round=server_round,
        started_at=1000.0 + 10 * server_round,
        test_accuracy=0.5 + 0.1 * server_round,
        test_loss=1.0 / server_round,
        weights_sha256=f"{server_round:064x}",
        updates=10,
        num_examples=6000,
        attempts=10,
        failures=0,
        cold_starts=2 if server_round == 1 else 0,
        cpu_s=4.0,
        largest_worker_peak_rss_bytes=300 * MIB,
        round_s=sum(phases.values()) + unattributed_s,
        unattributed_s=unattributed_s,
        **phases,
    )
    return replace(row, **changes)


def make_run(run_id: str, rounds: list[RoundRow], **changes: Any) -> RunRow:
    """The run of these rounds."""
    accuracies = [row.test_accuracy for row in rounds]
    target = changes.get("target_accuracy")
    reached = [row.server_round for row in rounds if target is not None and row.test_accuracy >= target]
    row = RunRow(
        run_id=run_id,
        experiment="invented",
        backend="inprocess",
        platform=None,
        emulated=False,
        runtime="pool",
        store=None,
        seed=0,
        status="success",
        error=None,
        model="nn",
        optimizer="adam",
        learning_rate=1e-3,
        batch_size=10,
        local_epochs=5,
        clients=100,
        clients_per_round=10,
        max_rounds=len(rounds),
        target_accuracy=None,
        optimizer_state="reset",
        partition="shards",
        partition_sha256="a" * 64,
        dataset_sha256="b" * 64,
        initial_weights_sha256="c" * 64,
        final_weights_sha256=rounds[-1].weights_sha256 if rounds else None,
        rounds=len(rounds),
        best_test_accuracy=max(accuracies, default=None),
        final_test_accuracy=accuracies[-1] if rounds else None,
        rounds_to_target=min(reached, default=None),
        started_at=990.0,
        setup_s=5.0,
        learning_s=sum(row.round_s for row in rounds),
        teardown_s=0.5,
        wall_s=60.0,
        cpu_s=50.0,
        peak_total_rss_bytes=900 * MIB,
        workers=2,
        threads_per_client=1,
        commit="0123456789abcdef",
        dirty=False,
        python_version="3.11.9",
        packages='{"numpy": "2.3.0", "tensorflow": "2.21.0", "flwr": "1.41.0"}',
        os="Linux",
        cpu_model="An invented CPU",
        cores=2,
        memory_bytes=8 * 1024 * MIB,
        cgroup_cpu_cores=None,
        cgroup_memory_bytes=None,
        config='{"job": {"model": "nn"}}',
    )
    return replace(row, **changes)


def make_invocation(run_id: str, server_round: int, client_id: int, **changes: Any) -> InvocationRow:
    """A client's one successful attempt."""
    known: dict[str, Any] = {
        "run_id": run_id,
        "server_round": server_round,
        "function": "client",
        "client_id": client_id,
        "attempt": 1,
        "status": "success",
        "is_cold": server_round == 1 and client_id < 2,
        "submitted_at": 1000.0 + 10 * server_round,
    }
    return InvocationRow(**known | changes)


def make_samples(run_id: str, roles: dict[str, float], rss_mib: int = 100) -> list[SampleRow]:
    """Ten samples a second apart; each role uses CPU at its own rate (cores)."""
    return [
        SampleRow(
            run_id=run_id,
            sampled_at=1000.0 + second,
            role=role,
            processes=1,
            cpu_s=rate * second,
            rss_bytes=(rss_mib + 10 * second) * MIB,
        )
        for second in range(10)
        for role, rate in roles.items()
    ]


def write_run(experiment: Path, run: RunRow, *rows: Iterable[Any]) -> None:
    """Leave a run's rows where a backend leaves them."""
    directory = experiment / "runs" / run.run_id
    directory.mkdir(parents=True)
    append(directory, run)
    for of_one_kind in rows:
        append(directory, *of_one_kind)


@pytest.fixture(scope="session")
def mnist_settings() -> DataSettings:
    """The real images, from the project's cache; fetched once if it is empty."""
    data = DataSettings(cache=Path(__file__).parents[1] / ".cache" / "mnist")
    load_images("mnist", data)
    return data


@pytest.fixture(scope="session")
def row_makers() -> dict[str, Callable[..., Any]]:
    """The makers of single rows, by table."""
    return {"runs": make_run, "rounds": make_round, "invocations": make_invocation, "samples": make_samples}


@pytest.fixture(scope="session")
def invented_experiments(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write experiments of invented numbers once each; nobody may change their folders."""

    @cache
    def write(seeds: tuple[int, ...], rounds: int, changes: frozenset[tuple[str, Any]]) -> Path:
        return write_experiment(tmp_path_factory.mktemp("experiments") / "invented", seeds, rounds, **dict(changes))

    return write


@pytest.fixture
def make_experiment(tmp_path: Path, invented_experiments: Callable[..., Path]) -> Callable[..., Path]:
    """Give an experiment of three backends with invented numbers; return its folder, tables collected."""

    def make(seeds: Iterable[int] = (0,), rounds: int = 3, **changes: Any) -> Path:
        written = invented_experiments(tuple(seeds), rounds, frozenset(changes.items()))
        return shutil.copytree(written, tmp_path / "invented", dirs_exist_ok=True)

    return make


@pytest.fixture(scope="session")
def experiment_writer() -> Callable[..., Path]:
    """The same, into a folder that is given: for tests that share one."""
    return write_experiment


def write_experiment(experiment: Path, seeds: Iterable[int] = (0,), rounds: int = 3, **changes: Any) -> Path:
    """Write the runs of an invented experiment, collect and price them; return the folder."""
    for seed in seeds:
        for backend, slowdown in {"inprocess": 1.0, "flower": 2.0, "openwhisk": 1.1}.items():
            run_id = f"{backend}-{seed}"
            history = [_invented_round(run_id, number, slowdown, seed) for number in range(1, rounds + 1)]
            run = make_run(run_id, history, seed=seed, **_SYSTEMS[backend], **changes)
            calls = [
                make_invocation(run_id, row.server_round, client, cold_start_s=2.0 + 0.1 * client, **_WORK[backend])
                for row in history
                for client in range(10)
            ]
            write_run(experiment, run, history, calls, make_samples(run_id, _ROLES[backend]))
    write_bill(experiment, bill(collect(experiment), every_policy(make_book())))
    return experiment


@pytest.fixture(scope="session")
def book_maker() -> Callable[..., PriceBook]:
    """The maker of invented prices."""
    return make_book


def make_book(function: dict[str, Any] | None = None, vm: dict[str, Any] | None = None, **billing: Any) -> PriceBook:
    """Round prices that nobody asks for: 1e-5 $ per GB-s by 0.1 s, 1 $ per million requests, 0.36 $ an hour of a VM."""
    free = dict.fromkeys(("free_gb_s", "free_vcpu_s", "free_ghz_s", "free_requests"), 0.0)
    priced = FunctionPrice(
        per_gb_s=1e-5,
        per_vcpu_s=0.0,
        per_ghz_s=0.0,
        per_million_requests=1.0,
        quantum_s=0.1,
        minimum_s=0.0,
        bills_init=True,
        billed_memory="limit",
        memory_step_mb=1,
        tiers=(),
        vcpus=1.0,
        source="an invented list",
        date="2020-01-01",
        **free,
    )
    machine = VmPrice(
        name="vm-1",
        region="nowhere",
        per_hour=0.36,
        vcpus=2,
        quantum_s=1.0,
        minimum_s=60.0,
        source="an invented machine list",
        date="2020-01-02",
    )
    return PriceBook(
        name="invented_prices",
        service="Functions",
        region="nowhere",
        function=replace(priced, **function or {}),
        egress=TrafficPrice(per_gb=0.1, free_gb=0.0, source="an invented network", date="2020-01-03"),
        store=StorePrice(per_million_writes=5.0, per_million_reads=0.4, source="an invented store", date="2020-01-04"),
        vm=replace(machine, **vm or {}),
        billing=Billing(**billing),
    )


_SYSTEMS: dict[str, dict[str, Any]] = {
    "inprocess": {"backend": "inprocess", "runtime": "pool"},
    "flower": {"backend": "flower", "runtime": "simulation"},
    "openwhisk": {
        "backend": "openwhisk",
        "platform": "openwhisk",
        "runtime": "embedded",
        "emulated": True,
        "store": "directory",
    },
}
_WORK: dict[str, dict[str, Any]] = {
    "inprocess": {"function_s": 0.5, "client_s": 2.0, "bytes_in": MIB, "bytes_out": MIB},
    "flower": {"function_s": 0.6, "client_s": 3.0, "bytes_in": MIB, "bytes_out": MIB},
    "openwhisk": {
        "function_s": 0.5,
        "provider_s": 0.55,
        "provider_start": "reported",
        "client_s": 0.6,
        "activation_id": "a",
        "platform": "openwhisk",
        "memory_limit_bytes": 1024 * MIB,
        "worker_peak_rss_bytes": 700 * MIB,
        "bytes_in": MIB,
        "bytes_out": MIB,
    },
}
_ROLES = {
    "inprocess": {"controller": 0.2, "client": 1.8},
    "flower": {"controller": 0.2, "client": 1.5, "flower": 0.1, "ray": 0.3},
    "openwhisk": {"controller": 0.1, "client": 1.7, "aggregator": 0.05, "emulator": 0.05},
}


def _invented_round(run_id: str, server_round: int, slowdown: float, seed: int) -> RoundRow:
    cold_s = 3.0 * slowdown if server_round == 1 else 0.0
    return make_round(
        run_id,
        server_round,
        test_accuracy=0.95 - 0.5 / server_round - 0.001 * seed,
        train_s=2.0 + 0.01 * seed,
        wait_s=slowdown - 1.0,
        cold_start_s=cold_s,
        aggregate_s=0.1,
        evaluate_s=0.2,
        weights_sha256=f"{server_round:032x}{seed:032x}",
    )


@pytest.fixture
def deployed_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Let the functions of this process be deployed for an object store, by its address; ``None``: for none."""

    def deploy(store: str | None) -> None:
        monkeypatch.setattr(store_limit, "deployed_store", lambda: store)

    return deploy


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that nobody knows."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PEM file of :func:`authority`."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
@starts("server")
def https_before(authority: trustme.CA) -> Iterator[Callable[[str], str]]:
    """Return a function that puts HTTPS, certified by :func:`authority`, before a plain ``host:port``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def open_front(host: str, port: int) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                inner_reader, inner_writer = await asyncio.open_connection(host, port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

        servers.append(await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
        return int(servers[-1].sockets[0].getsockname()[1])

    def front(endpoint: str) -> str:
        host, _, port = endpoint.rpartition(":")
        opened = asyncio.run_coroutine_threadsafe(open_front(host, int(port)), loop).result(10)
        return f"127.0.0.1:{opened}"

    yield front
    for server in servers:
        loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
