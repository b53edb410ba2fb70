"""A run that is killed at any moment goes on after its last whole round."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metrics.collect import checkpoints
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import append, read_run

pytestmark = pytest.mark.slow

Makers = dict[str, Callable[..., Any]]
ROUNDS = 3


def participants(server_round: int) -> tuple[int, ...]:
    return (0, server_round)


def states_after(server_round: int) -> dict[int, bytes]:
    """Client 0 takes part in every round, each other one in the round of its number."""
    states = {client: f"state of {client} in {client}".encode() for client in range(1, server_round + 1)}
    return {0: f"state of 0 in {server_round}".encode(), **states}


def make_rounds(directory: Path, row_makers: Makers, first: int = 1, part: int = 0) -> None:
    recorder = Recorder("r", directory, part=part)
    for number in range(first, ROUNDS + 1):
        changed = {client: f"state of {client} in {number}".encode() for client in participants(number)}
        recorder.checkpoint(number, f"weights {number}".encode(), changed)
        recorder.round(row_makers["rounds"]("r", number), [row_makers["invocations"]("r", number, 0)])


KILLED = """
import importlib.util, os, sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("rows", sys.argv[1])
rows = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rows)
spec = importlib.util.spec_from_file_location("checkpointed", sys.argv[2])
checkpointed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(checkpointed)
makers = {"rounds": rows.make_round, "invocations": rows.make_invocation}

def killed_at(moment, operation):
    def counted(*args, **kwargs):
        global count
        count += 1
        if count > moment:
            os._exit(9)
        return operation(*args, **kwargs)
    return counted

for moment in range(1000):
    directory = Path(sys.argv[3]) / f"{moment:03d}"
    directory.mkdir()
    child = os.fork()
    if not child:
        count = 0
        for name in ("fsync", "replace", "unlink"):
            setattr(os, name, killed_at(moment, getattr(os, name)))
        checkpointed.make_rounds(directory, makers)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders of runs, each killed before another one of the file system's operations; the last one was not killed."""
    folder = tmp_path_factory.mktemp("killed")
    rows = Path(__file__).parents[2] / "conftest.py"
    subprocess.run([sys.executable, "-c", KILLED, rows, __file__, folder], check=True, timeout=300)
    return sorted(folder.iterdir())


def test_whenever_a_run_is_killed_the_checkpoint_of_its_last_whole_round_is_there(killed: list[Path]) -> None:
    reached = []
    for directory in killed:
        whole = read_run(directory, "rounds")["server_round"].to_pylist()
        assert whole == list(range(1, len(whole) + 1))
        point = checkpoints.resume_point(directory)
        reached.append(0 if point is None else point.server_round)
        assert reached[-1] == len(whole)
        if point is not None:
            assert point.weights == f"weights {len(whole)}".encode()
            assert point.states == states_after(len(whole))
    assert len(reached) > 10 * ROUNDS  # operations
    assert sorted(reached) == reached
    assert set(reached) == set(range(ROUNDS + 1))


def test_it_goes_on_from_there_without_a_row_lost_or_doubled(killed: list[Path], row_makers: Makers) -> None:
    for directory in killed:
        point = checkpoints.resume_point(directory)
        checkpoints.discard_unfinished(directory)
        make_rounds(directory, row_makers, first=point.server_round + 1 if point else 1, part=1)
        assert read_run(directory, "rounds")["server_round"].to_pylist() == list(range(1, ROUNDS + 1))
        calls = read_run(directory, "invocations").to_pylist()
        counted = [call["server_round"] for call in calls if call["status"] == "success"]
        assert counted == list(range(1, ROUNDS + 1))
        assert all(call["part"] == 0 for call in calls if call["status"] == "discarded")
        last = checkpoints.resume_point(directory)
        assert last is not None
        assert last.states == states_after(ROUNDS)


def test_only_the_newest_checkpoint_is_kept_and_only_changed_states_are_written(
    tmp_path: Path, row_makers: Makers
) -> None:
    make_rounds(tmp_path, row_makers)
    names = sorted(path.name for path in (tmp_path / "checkpoint").iterdir())
    assert names == [
        "round-00003.json",
        "round-00003.safetensors",
        "state-00000-round-00003",
        "state-00001-round-00001",
        "state-00002-round-00002",
        "state-00003-round-00003",
    ]


def test_a_run_without_a_checkpoint_starts_afresh(tmp_path: Path, row_makers: Makers) -> None:
    assert checkpoints.resume_point(tmp_path) is None
    append(tmp_path, row_makers["rounds"]("r", 1))
    assert checkpoints.last_round(tmp_path) is None
    assert checkpoints.resume_point(tmp_path) is None


def test_weights_that_lie_elsewhere_are_not_in_the_checkpoint(tmp_path: Path, row_makers: Makers) -> None:
    recorder = Recorder("r", tmp_path)
    recorder.checkpoint(1, None, {4: b"states/4"})
    recorder.round(row_makers["rounds"]("r", 1, weights_sha256="f" * 64, test_accuracy=0.25), [])
    point = recorder.resume_point()
    assert point is not None
    assert (point.server_round, point.weights, point.states) == (1, None, {4: b"states/4"})
    assert (point.weights_sha256, point.test_accuracy) == ("f" * 64, 0.25)


def test_attempts_of_the_round_that_was_cut_off_are_marked_and_failed_ones_stay_failed(
    tmp_path: Path, row_makers: Makers
) -> None:
    make_rounds(tmp_path, row_makers)
    call = row_makers["invocations"]
    Recorder("r", tmp_path).invocations([call("r", 4, 1), call("r", 4, 2, status="failed", error_kind="timeout")])
    checkpoints.discard_unfinished(tmp_path)
    statuses = [(row["server_round"], row["status"]) for row in read_run(tmp_path, "invocations").to_pylist()]
    assert statuses == [(1, "success"), (2, "success"), (3, "success"), (4, "discarded"), (4, "failed")]
