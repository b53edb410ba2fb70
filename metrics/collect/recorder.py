"""Where a backend leaves what it measured, row by row.

A finished round is written to disk first and announced second: whoever watches (the live view) draws while
the run waits for its "go on", so that drawing never falls into a timed section. A watcher that is gone ends
the run: nobody is left to stop its processes otherwise.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from metrics.collect import checkpoints
from metrics.collect.checkpoints import ResumePoint
from metrics.collect.row_files import append, read_run
from metrics.collect.row_types import InvocationRow, RoundRow
from metrics.collect.setup_steps import SetupStep, append_step


class WatcherGone(RuntimeError):  # noqa: N818 - it names what happened; nothing went wrong in the run
    """The process that started this run is gone."""


@dataclass
class Recorder:
    """Writes the tables of one run.

    Parameters
    ----------
    run_id
        Key of the run in every table.
    directory
        The run's own folder, ``<experiment>/runs/<run_id>``; it exists.
    watcher
        Path of the Unix socket on which rounds and set-up steps are announced; ``None`` announces nothing.
    part
        How often the run has been resumed so far: it goes into every row.
    """

    run_id: str
    directory: Path
    watcher: str | None = None
    part: int = 0
    rounds: list[RoundRow] = field(default_factory=list)

    def round(self, row: RoundRow, invocations: list[InvocationRow]) -> None:
        """Keep a finished round and its invocations, then let the watcher draw it.

        The round is finished when its row is on disk; a kill before that moment takes the run back to the round
        before.
        """
        self.invocations(invocations)
        row = replace(row, part=self.part)
        append(self.directory, row)
        checkpoints.prune(self.directory, row.server_round)
        self.rounds.append(row)
        self._announce({"event": "round", **asdict(row)})

    def checkpoint(self, server_round: int, weights: bytes | None, states: Mapping[int, bytes]) -> None:
        """Keep what the next round needs; called outside the timed section, before :meth:`round`.

        Parameters
        ----------
        weights
            The global weights after the round; ``None`` where they lie in an object store that outlives the run's
            processes.
        states
            Client id -> optimizer state (or where it lies) of those that took part; the others' stay as they are.
        """
        checkpoints.write(self.directory, server_round, weights, states)

    def resume_point(self) -> ResumePoint | None:
        """Return where the run goes on; ``None`` if it starts at its first round."""
        return checkpoints.resume_point(self.directory)

    def earlier_invocations(self) -> list[InvocationRow]:
        """Return the attempts that are on disk; there are some where a run goes on."""
        return [InvocationRow(**row) for row in read_run(self.directory, "invocations").to_pylist()]

    def invocations(self, rows: list[InvocationRow]) -> None:
        """Keep attempts of a round that did not finish."""
        if rows:
            append(self.directory, *(replace(row, part=self.part) for row in rows))

    @contextmanager
    def setup(self, step: str) -> Iterator[None]:
        """Time a set-up step (``start the platform``, ``upload the data``); kept in ``setup.jsonl``."""
        self._announce({"event": "setup", "run_id": self.run_id, "step": step})
        start = time.monotonic()
        try:
            yield
        finally:
            self.setup_took(step, time.monotonic() - start)

    def setup_took(self, step: str, seconds: float) -> None:
        """Keep a set-up step that somebody else has timed."""
        append_step(self.directory, SetupStep(self.run_id, step, seconds))

    def _announce(self, event: dict[str, Any]) -> None:
        if self.watcher is None:
            return
        answer = b""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.connect(self.watcher)
                connection.sendall(json.dumps(event).encode() + b"\n")
                answer = connection.recv(1)  # the watcher's "go on"
        except OSError as error:
            raise WatcherGone(f"the process that watched this run is gone ({error})") from error
        if not answer:
            raise WatcherGone("the process that watched this run is gone (it closed without an answer)")
