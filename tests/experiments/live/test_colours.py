"""What is printed can be read on a light terminal and on a dark one."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.console import Console, RenderableType
from rich.text import Text

from experiments.live.progress import RUNNING, WAITING, RunProgress
from experiments.live.progress_table import COLOURS, render
from metrics.report import ink
from metrics.report.report import finish

GROUNDS = ("#000000", "#ffffff", "#002b36", "#fdf6e3")  # the last two: Solarized, dark and light
LEAST = 3.0  # WCAG 2.2, 1.4.11
NEUTRAL = {"0", "1", "3"}  # to the terminal's own ink, bold, italic


def luminance(colour: ColorTriplet) -> float:
    """WCAG 2.2's relative luminance."""
    parts = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(number: int, ground: str) -> float:
    one, other = (luminance(colour.get_truecolor()) for colour in (Color.from_ansi(number), Color.parse(ground)))
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def unreadable(written: str) -> set[str]:
    """Codes that leave the contrast to the terminal's theme, or that are lost on one of the grounds."""
    codes = set(re.findall(r"\x1b\[([\d;]*)m", written))
    assert len(codes) > 2
    return {code for code in codes if not all(map(is_readable, re.sub(r"38;5;", "38:5:", code).split(";")))}


def is_readable(code: str) -> bool:
    number = code.removeprefix("38:5:")
    fixed = code != number and int(number) > 15
    return code in NEUTRAL or (fixed and min(contrast(int(number), ground) for ground in GROUNDS) >= LEAST)


def in_colour(*shown: RenderableType) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, color_system="256", width=80, height=24)
    for each in shown:
        console.print(each)
    return console.file.getvalue()


def of_module() -> Iterable[str]:
    return (value for name, value in vars(ink).items() if name.isupper())


@pytest.mark.parametrize("style", [*of_module(), *COLOURS.values()])
def test_each_colour_has_contrast_on_every_ground(style: str) -> None:
    assert not unreadable(in_colour(Text("x", style=style), Text("y", style=f"bold {style}")))


@pytest.mark.parametrize("style", ["yellow", "white", "dim", "bright_cyan", "color(226)", "color(17)"])
def test_what_is_lost_on_a_ground_is_found(style: str) -> None:
    assert unreadable(in_colour(Text("x", style=style), Text("y", style="bold"), Text("z", style=ink.GOOD)))


def test_the_live_table_takes_no_other_colours(smoke_plan, row_makers) -> None:
    """Of a run that waits, one that goes on, and each way to end."""
    runs = [RunProgress(smoke_plan, status=status) for status in (WAITING, RUNNING)]
    runs[1].heard(row_makers["rounds"](smoke_plan.run_id, 1, compile_s=1.0))
    for status in ("success", "failed", "interrupted"):
        row = replace(row_makers["runs"](smoke_plan.run_id, []), status=status)
        runs.append(RunProgress(smoke_plan, status=status, row=row))
    console = Console(width=80, height=24)
    assert not unreadable(in_colour(render("title", runs, console)))


@pytest.mark.slow
def test_the_closing_comparison_takes_no_other_colours(make_experiment: Callable[..., Path]) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system="256", width=80)
    assert finish(make_experiment(rounds=2), console, figures=False) == []
    assert not unreadable(console.file.getvalue())
