"""All cells of a command, one after another: one that fails does not stop the others, and is reported at the end."""

from __future__ import annotations

import random
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from experiments.config.compose import Cell
from experiments.config.errors import ConfigError, disk_problem
from experiments.printing import say
from experiments.runs.cell import CellResult, check_runs, run_cell
from experiments.runs.results_folder import locked
from experiments.runs.sweep_file import Ledger
from experiments.runs.wrap_up import conclude, finish_cell, print_log, report_failures
from machine.files import DamagedFileError
from metrics.collect.tables import collect
from metrics.report.ink import BAD, QUIET
from task.data import DataError

SUCCEEDED, FAILED, WRONG = 0, 1, 2
CELL_LOG = "cell.log"


@dataclass(frozen=True)
class _Ended:
    """How a cell ended: with the results of its runs, or with an error that kept it from having any."""

    cell: Cell
    result: CellResult | None = None
    error: str | None = None
    code: int = SUCCEEDED

    @property
    def is_stopped(self) -> bool:
        """Whether a signal stopped it."""
        return self.code > 128


def run_cells(cells: Sequence[Cell], console: Console) -> int:
    """Run every cell, and report at the end how each one ended; return the exit code of the command.

    Raises
    ------
    ConfigError
        If a backend cannot do what is asked of it, or another command is running in one of the folders; nothing has
        been started then.
    """
    for cell in cells:
        check_runs(cell)
    ended: dict[Path, _Ended] = {}
    tops = {cell.top: [other for other in cells if other.top == cell.top] for cell in cells}
    with ExitStack() as stack:
        for top, its_cells in tops.items():
            stack.enter_context(locked(top, ""))
            try:
                Ledger.of(its_cells).write(top)
            except OSError as error:
                raise ConfigError(disk_problem(top, error)) from error
        turns = _turns(cells)
        for number, cell in enumerate(turns, start=1):
            earlier = ended.get(cell.out)
            if earlier is not None and earlier.error is not None:
                continue
            if cell.name:
                console.rule(f"{number} of {len(turns)}: {cell.name}")
            by_blocks, is_last = len(turns) > len(cells), all(other is not cell for other in turns[number:])
            one = _run(cell, console, _so_far(earlier) if by_blocks else None, is_last=is_last)
            ended[cell.out] = _collected(one, [other.out for other in tops[cell.top]]) if cell.name else one
            if ended[cell.out].is_stopped:
                break
        stopped = next((one for one in ended.values() if one.is_stopped), None)
        concluded = stopped is not None or _conclude_all(tops, console)
    if len(cells) > 1:
        _sum_up(cells, ended, console)
    if stopped is not None or len(cells) == 1:
        return (stopped or ended[cells[0].out]).code
    return SUCCEEDED if concluded and not any(one.code for one in ended.values()) else FAILED


def _turns(cells: Sequence[Cell]) -> list[Cell]:
    """Return which cell comes when: in a sweep, each as often as it has blocks, all first blocks in random order first.

    So what drifts with time hits no cell more than another. Cells of one block each are made as they are listed: with
    one run of each, nothing can be told from noise.
    """
    blocks = [cell.config.repeats * len(cell.config.seeds) for cell in cells]
    if len(cells) == 1 or max(blocks) == 1:
        return list(cells)
    turns: list[Cell] = []
    for block in range(max(blocks)):
        those = [cell for cell, its_blocks in zip(cells, blocks, strict=True) if block < its_blocks]
        turns += random.Random(f"block {block}").sample(those, len(those))
    return turns


def _so_far(earlier: _Ended | None) -> CellResult:
    return earlier.result if earlier is not None and earlier.result is not None else CellResult()


def _run(cell: Cell, console: Console, so_far: CellResult | None, *, is_last: bool) -> _Ended:
    """Run a cell, or its next block; an error in it is printed, and its traceback is kept in the cell's folder."""
    with suppress(OSError):  # of an earlier attempt
        (cell.out / CELL_LOG).unlink()
    try:
        result = run_cell(cell, console, so_far=so_far)
        is_told = True
        if is_last or result.signal_number is not None:
            is_told = finish_cell(cell.out, result, console, cell.config)
    except (ConfigError, DataError, DamagedFileError, OSError) as error:
        said = disk_problem(cell.out, error) if isinstance(error, OSError) else str(error)
        print(f"error: {said}", file=sys.stderr)
        return _Ended(cell, error=said, code=WRONG if isinstance(error, ConfigError) else FAILED)
    except Exception as error:  # in our own code: the other cells may succeed
        _report_traceback(cell.out, console)
        return _Ended(cell, error=f"{type(error).__name__}: {error}", code=FAILED)
    if result.signal_number is not None:
        return _Ended(cell, result, code=128 + result.signal_number)
    return _Ended(cell, result, code=FAILED if result.failed or result.errors or not is_told else SUCCEEDED)


def _collected(ended: _Ended, cells: Sequence[Path]) -> _Ended:
    """Collect the tables of a sweep so far; return how its last cell ended, which includes that."""
    try:
        collect(ended.cell.top, cells)
    except OSError as error:
        print(f"error: {disk_problem(ended.cell.top, error)}", file=sys.stderr)
        return replace(ended, code=ended.code or FAILED)
    return ended


def _conclude_all(tops: Mapping[Path, Sequence[Cell]], console: Console) -> bool:
    """Conclude every sweep, also after one where that failed."""
    concluded = [_conclude(top, cells, console) for top, cells in tops.items()]
    return all(concluded)


def _conclude(top: Path, cells: Sequence[Cell], console: Console) -> bool:
    """Price, compare and draw the cells of a sweep together; return whether that succeeded."""
    if len(cells) == 1:
        return True
    console.rule(str(top))
    try:
        return conclude(top, console, cells[0].config)
    except Exception:  # the tables are complete, and the failures of cells are still to be reported
        _report_traceback(top, console)
        return False


def _report_traceback(folder: Path, console: Console) -> None:
    """Write the traceback of the current exception into a log, and print it."""
    trace = traceback.format_exc()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CELL_LOG).write_text(trace, encoding="utf-8")
    except OSError:
        console.print(trace, style=QUIET, markup=False)
    else:
        print_log(folder / CELL_LOG, console)


def _sum_up(cells: Sequence[Cell], by_folder: Mapping[Path, _Ended], console: Console) -> None:
    """Print a line per cell, and what is known of each failure."""
    ended = [by_folder[cell.out] for cell in cells if cell.out in by_folder]
    console.rule(f"{sum(one.code == SUCCEEDED for one in ended)} of {len(cells)} succeeded")
    for one in ended:
        mark = "ok     " if one.code == SUCCEEDED else "stopped" if one.is_stopped else "FAILED "
        console.print(f"{mark} {one.cell.out}", markup=False, soft_wrap=True)
        if one.code in (FAILED, WRONG):
            if one.result is not None:
                report_failures(one.cell.out, one.result, console)
            else:
                say(console, f"  {one.error}", f"bold {BAD}")
                if (one.cell.out / CELL_LOG).exists():
                    print_log(one.cell.out / CELL_LOG, console)
    for cell in (cell for cell in cells if cell.out not in by_folder):
        console.print(f"not run {cell.out}", markup=False, soft_wrap=True)
