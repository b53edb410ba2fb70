"""What a killed run needs to go on after its last whole round.

A round is finished at the moment when its row is on disk: one line, appended and forced. Its checkpoint is written
before that, and the one of the round before is deleted after it. So whenever a run is killed, the checkpoint of its
last whole round is there, and whatever else is there belongs to a round that does not count.

Random state is not kept, because there is none: every draw is a function of (seed, stream, round, client).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from machine.files import write_whole
from metrics.collect.row_files import read_run, rewrite
from metrics.collect.row_types import InvocationRow

_FOLDER = "checkpoint"
SERVER = -1  # in the place of a client id: the state of the learning itself, which goes with the global weights


@dataclass(frozen=True)
class ResumePoint:
    """Where a run goes on.

    Parameters
    ----------
    server_round
        The last whole round.
    test_accuracy, weights_sha256
        Of that round, from its row.
    weights
        The global weights after it; ``None`` where they lie in an object store that outlives the run's processes.
    states
        Client id, or :data:`SERVER` -> its state, or where it lies; those that have none are missing.
    """

    server_round: int
    test_accuracy: float
    weights_sha256: str
    weights: bytes | None
    states: Mapping[int, bytes]


def write(directory: Path, server_round: int, weights: bytes | None, states: Mapping[int, bytes]) -> None:
    """Keep what a round left, beside the checkpoint of the round before, whose other states stay as they are.

    Parameters
    ----------
    directory
        The run's own folder.
    states
        Of the clients that took part in this round, and of the server.
    """
    folder = directory / _FOLDER
    folder.mkdir(exist_ok=True)
    names = dict(_read_index(folder, server_round - 1).states)
    for client_id, state in states.items():
        names[client_id] = f"state-{client_id:05d}-round-{server_round:05d}"
        write_whole(folder / names[client_id], state)
    if weights is not None:
        write_whole(folder / _weights_name(server_round), weights)
    index = {"has_weights": weights is not None, "states": names}
    write_whole(folder / _index_name(server_round), json.dumps(index).encode())  # last: then all that it names is there


def prune(directory: Path, server_round: int) -> None:
    """Delete all but the checkpoint of this round; nothing if there is none of it."""
    folder = directory / _FOLDER
    if not (folder / _index_name(server_round)).exists():
        return
    kept = {_index_name(server_round), _weights_name(server_round), *_read_index(folder, server_round).states.values()}
    for path in sorted(folder.iterdir(), key=lambda path: path.suffix != ".json"):  # an index before what it names
        if path.name not in kept:
            path.unlink(missing_ok=True)


def forget(directory: Path) -> None:
    """Delete the checkpoint of a run that needs none any more."""
    shutil.rmtree(directory / _FOLDER, ignore_errors=True)


def last_round(directory: Path) -> int | None:
    """Return the last whole round of a run that can go on after it; ``None`` if it can only start afresh."""
    rounds = read_run(directory, "rounds")["server_round"].to_pylist()
    return rounds[-1] if rounds and (directory / _FOLDER / _index_name(rounds[-1])).exists() else None


def discard_unfinished(directory: Path) -> None:
    """Mark what was written of the round that was cut off: its successful attempts come to nothing."""
    whole = last_round(directory) or 0
    rows = [InvocationRow(**row) for row in read_run(directory, "invocations").to_pylist()]
    marked = [
        replace(row, status="discarded") if row.server_round > whole and row.status == "success" else row
        for row in rows
    ]
    if marked != rows:
        rewrite(directory, *marked)


def resume_point(directory: Path) -> ResumePoint | None:
    """Read where a run goes on; ``None`` if it starts at its first round.

    Raises
    ------
    FileNotFoundError
        If a file of the checkpoint has been taken away.
    """
    if last_round(directory) is None:
        return None
    row = read_run(directory, "rounds").to_pylist()[-1]
    folder, server_round = directory / _FOLDER, row["server_round"]
    index = _read_index(folder, server_round)
    return ResumePoint(
        server_round=server_round,
        test_accuracy=row["test_accuracy"],
        weights_sha256=row["weights_sha256"],
        weights=(folder / _weights_name(server_round)).read_bytes() if index.has_weights else None,
        states={client_id: (folder / name).read_bytes() for client_id, name in index.states.items()},
    )


@dataclass(frozen=True)
class _Index:
    """The files of a checkpoint."""

    has_weights: bool = False
    states: Mapping[int, str] = field(default_factory=dict)


def _read_index(folder: Path, server_round: int) -> _Index:
    """Read what belongs to the checkpoint of a round: nothing, if there is none."""
    path = folder / _index_name(server_round)
    if not path.exists():
        return _Index()
    values = json.loads(path.read_text(encoding="utf-8"))
    return _Index(values["has_weights"], {int(client_id): name for client_id, name in values["states"].items()})


def _index_name(server_round: int) -> str:
    return f"round-{server_round:05d}.json"


def _weights_name(server_round: int) -> str:
    return f"round-{server_round:05d}.safetensors"
