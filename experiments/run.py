"""The command line: ``python -m experiments.run +exp=quickstart``.

Exit codes: 0 all runs succeeded, 1 a run failed, 2 the configuration is wrong (nothing was done), 128 + n stopped by
signal n (130 after Ctrl-C).
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from experiments.errors import ConfigError
from experiments.overrides import keys, options

if TYPE_CHECKING:
    from rich.console import Console

    from experiments.compose import Cell

FAILED, WRONG, CTRL_C = 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Run the experiment that the command line asks for; return the exit code."""
    parser = _parser()
    asked = parser.parse_intermixed_args(arguments)
    if not asked.overrides:
        parser.print_help()
        return WRONG
    try:
        return _run(asked)
    except ConfigError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        print("stopped; nothing was running", file=sys.stderr)
        return CTRL_C


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.run",
        description="Train the same federation on several systems, and compare what it took.",
        epilog=f"experiments: {', '.join(options('exp'))}\n\nkeys:\n  " + "\n  ".join(keys()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as +exp=quickstart rounds=5")
    parser.add_argument("-m", "--multirun", action="store_true", help="sweep over values with commas")
    parser.add_argument("--show", action="store_true", help="print the resolved configuration and the runs; do nothing")
    return parser


def _run(asked: argparse.Namespace) -> int:
    from experiments.compose import compose_cells  # noqa: PLC0415 - --help needs none of it

    cells = compose_cells(asked.overrides, multirun=asked.multirun)
    if asked.show:
        _show(cells)
        return 0

    from rich.console import Console  # noqa: PLC0415 - a mistyped key is told at once

    return _run_cells(cells, Console(highlight=False))


def _show(cells: list[Cell]) -> None:
    from experiments.plan import plan_runs  # noqa: PLC0415

    for cell in cells:
        runs = [plan.run_id for plan in plan_runs(cell.config, cell.out)]
        print(json.dumps({"out": str(cell.out), "runs": runs, "config": cell.config.to_dict()}, indent=2))


def _run_cells(cells: list[Cell], console: Console) -> int:
    """Run every cell; one that fails does not stop the others, and is not forgotten."""
    codes = {}
    for number, cell in enumerate(cells, start=1):
        if cell.name:
            console.rule(f"{number} of {len(cells)}: {cell.name}")
        codes[cell.out] = code = _run_cell(cell, console)
        if code > 128:
            return code
    if len(cells) > 1:
        console.rule(f"{sum(code == 0 for code in codes.values())} of {len(cells)} succeeded")
        for out, code in codes.items():
            console.print(f"{'ok    ' if code == 0 else 'FAILED'} {out}", markup=False, soft_wrap=True)
    return max(codes.values())


def _run_cell(cell: Cell, console: Console) -> int:
    from experiments.cell import run_cell  # noqa: PLC0415
    from experiments.closing import close  # noqa: PLC0415
    from task.data import DataError  # noqa: PLC0415

    try:
        result = run_cell(cell, console)
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG if isinstance(error, ConfigError) else FAILED
    close(cell.out, result, console)
    if result.signal_number is not None:
        return 128 + result.signal_number
    return FAILED if result.failed else 0


if __name__ == "__main__":
    sys.exit(main())
