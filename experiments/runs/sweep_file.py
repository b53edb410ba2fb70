"""What a command was asked to run in a folder: ``sweep.json``, beside the folders of its cells.

Together with the cells' folders it shows which runs are done and which are not; there is no other record of it.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.config.compose import Cell
from experiments.config.plan import plan_runs
from machine.clocks import now
from machine.files import undamaged, write_whole

_FILE = "sweep.json"


@dataclass(frozen=True)
class PlannedRun:
    """A run of the grid, and how much there is to do in it.

    Parameters
    ----------
    max_rounds
        The most rounds that it takes.
    client_epochs
        Passes over a client's images in one of its rounds: a round's time is proportional to it.
    """

    run_id: str
    backend: str
    seed: int
    max_rounds: int
    client_epochs: int
    repeat: int = 0


@dataclass(frozen=True)
class PlannedCell:
    """A cell of the grid; the name is its folder's, and empty if it is alone."""

    name: str
    runs: tuple[PlannedRun, ...]


@dataclass(frozen=True)
class Ledger:
    """What a command was asked to run."""

    command: str
    started_at: float
    cells: tuple[PlannedCell, ...]

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> Ledger:
        """Return the ledger of the cells of this process' command."""
        command = shlex.join(["python", "-m", "experiments.run", *sys.argv[1:]])
        return cls(command, now(), tuple(PlannedCell(cell.name, _runs(cell)) for cell in cells))

    def write(self, top: Path) -> None:
        """Write it to the folder of the cells."""
        write_whole(top / _FILE, (json.dumps(asdict(self), indent=1) + "\n").encode())

    @classmethod
    def read(cls, top: Path) -> Ledger:
        """Read what :meth:`write` wrote.

        Raises
        ------
        FileNotFoundError
            If no command has been run in this folder.
        """
        with undamaged(top / _FILE, "what was planned is lost, no result is; the same command writes it again"):
            values: dict[str, Any] = json.loads((top / _FILE).read_text(encoding="utf-8"))
            cells = (
                PlannedCell(cell["name"], tuple(PlannedRun(**run) for run in cell["runs"])) for cell in values["cells"]
            )
            return cls(values["command"], values["started_at"], tuple(cells))


def _runs(cell: Cell) -> tuple[PlannedRun, ...]:
    return tuple(
        PlannedRun(
            run_id=plan.run_id,
            backend=plan.backend,
            seed=plan.job.seed,
            max_rounds=plan.job.rounds,
            client_epochs=plan.job.clients_per_round * plan.job.local_epochs,
            repeat=plan.turn.repeat,
        )
        for plan in plan_runs(cell.config, cell.out)
    )
