"""One configuration from its plan to its tables: every run in its own process, one after another."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console

from experiments.config.backend_settings import data_settings
from experiments.config.backends import BACKENDS
from experiments.config.compose import Cell
from experiments.config.connections import withheld
from experiments.config.plan import RunPlan, plan_runs
from experiments.config.schema import CONFIGS, ExperimentConfig
from experiments.live.view import View, open_view
from experiments.runs.announcements import Watcher
from experiments.runs.identity import identify
from experiments.runs.results_folder import arrange, finished_row, locked, make_room
from experiments.runs.resume import last_whole_round, obstacle, reopen
from experiments.runs.run_files import Identity, RunFile
from experiments.runs.run_row import judge
from experiments.runs.stop_request import StopRequest
from experiments.runs.supervisor import CHILD, supervise
from machine.clocks import now
from metrics.collect.provenance import Provenance, collect_provenance
from metrics.collect.row_files import append
from metrics.collect.row_types import RunRow
from metrics.collect.tables import collect


@dataclass
class CellResult:
    """How the runs of a cell ended.

    Parameters
    ----------
    rows
        The rows of all runs that are over, those kept from earlier included.
    signal_number
        The signal that stopped it, if one did.
    """

    rows: dict[str, RunRow] = field(default_factory=dict)
    signal_number: int | None = None

    @property
    def failed(self) -> list[RunRow]:
        """The runs that did not succeed."""
        return [row for row in self.rows.values() if row.status != "success"]


def check_runs(cell: Cell) -> list[RunPlan]:
    """Return the runs of a configuration.

    Raises
    ------
    ConfigError
        If a backend cannot make one of them as configured.
    """
    plans = plan_runs(cell.config, cell.out)
    for plan in plans:
        BACKENDS[plan.backend].check(plan.job, cell.config)
    return plans


def run_cell(cell: Cell, console: Console, command: tuple[str, ...] = CHILD) -> CellResult:
    """Make the runs of a configuration that are not finished yet, and collect its tables.

    A run that fails does not stop the others. The folder is held as long as this takes.

    Raises
    ------
    ConfigError, task.data.DataError
        If the runs cannot be made; no run has been started then.
    """
    plans = check_runs(cell)
    identities = identify(plans, data_settings(cell.config))
    provenance = collect_provenance(CONFIGS.parent)
    result = CellResult()
    with locked(cell.out), StopRequest() as stop:
        notes = arrange(cell.out, cell.config)
        try:
            with open_view(console, title(cell.config), plans) as view:
                for note in notes:
                    view.note(note)
                runs = _Runs(view, stop, identities, provenance, command)
                for plan in plans:
                    if stop.wanted:
                        break
                    result.rows[plan.run_id] = runs.kept_or_made(plan, rerun=cell.config.rerun)
        finally:
            collect(cell.out)
        result.signal_number = stop.signal_number
    return result


@dataclass(frozen=True)
class _Runs:
    view: View
    stop: StopRequest
    identities: dict[str, Identity]
    provenance: Provenance
    command: tuple[str, ...]

    def kept_or_made(self, plan: RunPlan, *, rerun: bool) -> RunRow:
        row = finished_row(plan.directory)
        if row is not None and row.status == "success" and not rerun:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.started_at))
            self.view.note(f"{plan.label} is kept as it finished on {when}; rerun=true makes it again")
            self.view.ended(plan, row, kept=True)
            return row
        if row is not None and not rerun and self._can_go_on(plan, row):
            return self._made(plan, part=row.resumes + 1)
        note = make_room(plan)
        if note:
            self.view.note(note)
        return self._made(plan)

    def _can_go_on(self, plan: RunPlan, row: RunRow) -> bool:
        """Whether a run goes on after its last whole round; it says so, or why it does not although it has some."""
        last_round = last_whole_round(plan.directory, row)
        if last_round is None:
            return False
        other = obstacle(row, self.identities[plan.run_id], self.provenance)
        if other is None:
            self.view.note(f"{plan.label} was {row.status} and goes on after round {last_round}")
        else:
            self.view.note(f"{plan.label} was {row.status} after round {last_round}, but with another {other} than now")
        return other is None

    def _made(self, plan: RunPlan, part: int = 0) -> RunRow:
        self.view.started(plan)
        with Watcher() as watcher:
            identity = self.identities[plan.run_id]
            run = RunFile.of(plan, identity, self.provenance, started_at=now(), watcher=watcher.path, part=part)
            if part:
                reopen(plan.directory, run)
            else:
                run.write(plan.directory)
            ended = supervise(
                plan.run_id,
                plan.directory,
                watcher,
                lambda event: self.view.heard(plan, event),
                self.stop,
                self.command,
                withheld(
                    ExperimentConfig.from_dict(plan.config),
                    uses_platform="platform" in BACKENDS[plan.backend].sections,
                ),
            )
        row = judge(plan.directory, ended)
        append(plan.directory, row)
        collect(plan.directory.parent.parent)
        self.view.ended(plan, row)
        return row


def title(config: ExperimentConfig) -> str:
    """Say in one line what is learnt."""
    goal = "" if config.target_accuracy is None else f" or accuracy {config.target_accuracy}"
    return (
        f"{config.experiment}: {config.model.name}, {config.optimizer.name} {config.optimizer.learning_rate:g}, "
        f"{config.clients_per_round} of {config.clients} clients a round, {config.local_epochs} epochs of batch "
        f"{config.batch_size}, {config.partition.scheme}, to round {config.rounds}{goal}"
    )
