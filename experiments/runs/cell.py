"""One configuration from its plan to its tables: every run in its own process, one after another."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console

from experiments.config.backend_settings import capped, data_settings
from experiments.config.backends import BACKENDS
from experiments.config.compose import Cell
from experiments.config.connections import withheld
from experiments.config.errors import disk_problem
from experiments.config.plan import RunPlan, plan_runs
from experiments.config.schema import CONFIGS, ExperimentConfig
from experiments.live.view import View, open_view
from experiments.runs.announcements import Event, Watcher
from experiments.runs.beginning import begin
from experiments.runs.identity import identify
from experiments.runs.results_folder import arrange, locked
from experiments.runs.resume import reopen
from experiments.runs.run_files import RunFile
from experiments.runs.run_row import judge
from experiments.runs.stop_request import StopRequest
from experiments.runs.supervisor import CHILD, supervise
from experiments.tracking.trackers import Trackers
from machine import clocks
from machine.files import await_room
from metrics.collect.provenance import collect_provenance
from metrics.collect.row_files import append
from metrics.collect.row_types import RunRow
from metrics.collect.tables import collect

_PATIENCE_S = 10.0  # for a disk that is full, before the next run is tried


@dataclass
class CellResult:
    """How the runs of a cell ended.

    Parameters
    ----------
    rows
        The rows of all runs that are over, those kept from earlier included.
    errors
        A line for each run that left no row, because its folder could not be written.
    signal_number
        The signal that stopped it, if one did.
    trackers
        What its runs were written to, for the files that are made of all of them.
    blocks
        How many of its blocks have been made, where they are made one by one.
    """

    rows: dict[str, RunRow] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    signal_number: int | None = None
    trackers: Trackers | None = None
    blocks: int = 0

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


def run_cell(
    cell: Cell, console: Console, command: tuple[str, ...] = CHILD, so_far: CellResult | None = None
) -> CellResult:
    """Make the runs of a configuration that are not finished yet, and collect its tables.

    A run that fails does not stop the others. The folder is locked while this takes place.

    Parameters
    ----------
    so_far
        Of the cell's earlier blocks: its next block is made, and added to it. ``None``: all blocks.

    Raises
    ------
    ConfigError, task.data.DataError
        If the runs cannot be made; no run has been started then.
    """
    plans = check_runs(cell)
    identities = identify(plans, data_settings(cell.config))
    provenance = collect_provenance(CONFIGS.parent)
    result = so_far or CellResult()
    if so_far is not None:
        plans = [plan for plan in plans if plan.turn.block == so_far.blocks]
        so_far.blocks += 1
    with locked(cell.out), StopRequest() as stop:
        notes = [*capped(cell.config), *arrange(cell.out, cell.config)]
        try:
            with open_view(console, title(cell.config), plans) as view:
                view.note(*notes)
                result.trackers = result.trackers or Trackers(cell.config.tracking, view.note)
                for plan in plans:
                    if stop.wanted:
                        break
                    identity = identities[plan.run_id]
                    try:
                        beginning = begin(plan, identity, provenance, rerun=cell.config.rerun)
                        view.note(*beginning.notes)
                        row = beginning.kept
                        if row is None:
                            result.trackers.started(plan)  # before the run's own clock
                            clocks.begin()
                            with Watcher() as watcher:
                                run = RunFile.of(plan, identity, provenance, watcher.path, beginning.part)
                                row = _make(plan, run, watcher, view, result.trackers, stop, command)
                    except OSError as error:  # a full disk may have room again for the next run
                        result.errors.append(f"{plan.label}: {disk_problem(cell.out, error)}")
                        view.note(result.errors[-1])
                        await_room(cell.out, _PATIENCE_S, lambda: stop.wanted)
                    else:
                        view.ended(plan, row, kept=beginning.kept is not None)
                        result.rows[plan.run_id] = row
        finally:
            collect(cell.out)
        result.signal_number = stop.signal_number
    return result


def _make(
    plan: RunPlan,
    run: RunFile,
    watcher: Watcher,
    view: View,
    trackers: Trackers,
    stop: StopRequest,
    command: tuple[str, ...],
) -> RunRow:
    """Make a run in a process of its own, and return its row, which is in its folder and in the cell's tables then."""
    view.started(plan)
    if run.part:
        reopen(plan.directory, run)
    else:
        run.write(plan.directory)

    def heard(event: Event) -> None:
        view.heard(plan, event)
        trackers.heard(plan, event)

    uses_platform = "platform" in BACKENDS[plan.backend].sections
    ended = supervise(
        plan.run_id,
        plan.directory,
        watcher,
        heard,
        stop,
        command,
        withheld(plan.config, uses_platform=uses_platform),
    )
    if ended.sampler_problem is not None:
        view.note(f"{plan.label}: samples came late or are missing: {ended.sampler_problem}")
    row = judge(plan.directory, ended)
    append(plan.directory, row)
    trackers.ended(plan, row)
    collect(plan.directory.parent.parent)
    return row


def title(config: ExperimentConfig) -> str:
    """Describe in one line what is learnt."""
    goal = "" if config.target_accuracy is None else f" or accuracy {config.target_accuracy}"
    epochs = "1 epoch" if config.local_epochs == 1 else f"{config.local_epochs} epochs"
    return (
        f"{config.experiment}: {config.model.name}, {config.optimizer.name} {config.optimizer.learning_rate:g}, "
        f"{config.clients_per_round} of {config.clients} clients a round, {epochs} of batch "
        f"{config.batch_size}, {config.partition.scheme}, to round {config.rounds}{goal}"
    )
