"""A run, stopped and gone on with, in MLflow's own server, as its REST API tells it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from machine.loopback import reserved_port
from machine.tether import tethered
from metrics.collect.tables import load, records
from tests.support.tiers import starts

pytestmark = [pytest.mark.exhaustive, pytest.mark.usefixtures("nothing_survives")]

PROGRAM = Path(__file__).parents[3] / ".mlflow" / "bin" / "mlflow"
READY_WITHIN_S = 120
ROUNDS = 30  # the run is stopped after the third
KEPT = ["report.html", "report.md", "rounds.csv", "runs.csv"]

Api = Callable[..., requests.Response]


@pytest.fixture
@starts("server")
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The server, which new runs write to; asked by the path behind ``/api/2.0/``."""
    if not PROGRAM.exists():
        assert not os.environ.get("CI"), "CI has no MLflow server: `make mlflow`"
        pytest.skip("no MLflow server here: `make mlflow`")
    address = f"http://127.0.0.1:{reserved_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # its first answer takes seconds on a busy machine
    store = ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", f"{tmp_path}/kept"]
    command = [str(PROGRAM), "server", "--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--workers", "1"]
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # ten processes that no run needs
        "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
    }
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            tethered([*command, *store]),
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env=environment,
            start_new_session=True,  # its own children end with it
        )
    session = requests.Session()
    session.trust_env = False  # no proxy

    def ask(path: str, **query: Any) -> requests.Response:
        how = {"json": query} if path.endswith("search") else {"params": query}
        answer = session.request("POST" if "json" in how else "GET", f"{address}/api/2.0/{path}", timeout=30, **how)
        answer.raise_for_status()
        return answer

    try:
        wait_until_it_serves(f"{address}/health", session, tmp_path / "server.log")
        yield ask
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_until_it_serves(health: str, session: requests.Session, log: Path) -> None:
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end:
        with suppress(requests.ConnectionError):
            if session.get(health, timeout=5).ok:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def the_run(api: Api) -> dict[str, Any]:
    """The one run that the server knows."""
    experiment = api("mlflow/experiments/get-by-name", experiment_name="smoke").json()["experiment"]
    (run,) = api("mlflow/runs/search", experiment_ids=[experiment["experiment_id"]]).json()["runs"]
    return run


def test_a_run_that_was_stopped_is_one_run_there_with_every_round_once(
    api: Api,
    start: Callable[..., subprocess.Popen[bytes]],
    run: Callable[..., tuple[int, str]],
    wait_for_rounds: Callable[..., Path],
    tmp_path: Path,
) -> None:
    words = ("tracking=[mlflow]", f"rounds={ROUNDS}", "out=out", "clients=10")
    process = start(*words)
    wait_for_rounds(tmp_path / "out", 3, process)
    going_on = the_run(api)
    assert going_on["info"]["status"] == "RUNNING"
    assert {"test_accuracy", "round_s"} <= {metric["key"] for metric in going_on["data"]["metrics"]}
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 128 + signal.SIGINT
    code, said = run(*words)
    assert code == 0, said
    assert "gets no more" not in said

    tables = load(tmp_path / "out")
    (row,) = records(tables["runs"])
    assert tables["rounds"]["part"].nunique() == 2
    ended = the_run(api)
    assert ended["info"]["run_id"] == going_on["info"]["run_id"]
    assert (ended["info"]["run_name"], ended["info"]["status"]) == (row["run_id"], "FINISHED")
    parameters = {parameter["key"]: parameter["value"] for parameter in ended["data"]["params"]}
    assert (parameters["backend"], parameters["rounds"]) == (row["backend"], str(ROUNDS))
    totals = {metric["key"]: metric["value"] for metric in ended["data"]["metrics"]}
    assert totals["run_wall_s"] == pytest.approx(row["wall_s"])

    asked = {"run_id": ended["info"]["run_id"], "metric_key": "test_accuracy"}
    history = api("mlflow/metrics/get-history", **asked).json()["metrics"]
    measured = tables["rounds"].sort_values("server_round")[["server_round", "test_accuracy"]]
    assert [(int(metric["step"]), metric["value"]) for metric in history] == list(measured.itertuples(index=False))

    files = api("mlflow/artifacts/list", run_id=ended["info"]["run_id"]).json()["files"]
    assert set(KEPT) <= {file["path"] for file in files}
    place = f"{ended['info']['experiment_id']}/{ended['info']['run_id']}/artifacts"
    report = api(f"mlflow-artifacts/artifacts/{place}/report.html").content
    assert report == (tmp_path / "out" / "report.html").read_bytes()
