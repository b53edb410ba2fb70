import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from experiments.config.compose import compose_cells
from experiments.config.plan import plan_runs
from experiments.live.progress import RUNNING, RunProgress
from experiments.live.progress_table import COLOURS, bar, render
from experiments.live.view import LiveView, PlainView, open_view
from experiments.runs.announcements import SetupStep
from metrics.collect.phases import GROUPS


@pytest.fixture
def plans(tmp_path):
    (cell,) = compose_cells(["+exp=quickstart", "seeds=[0,1]", "rounds=10"])
    backends = cell.config.backends  # in this order; runs are made in a random one
    return sorted(plan_runs(cell.config, tmp_path), key=lambda plan: (plan.job.seed, backends.index(plan.backend)))


@pytest.fixture
def round_event(row_makers):
    def make(number, **changes):
        return row_makers["rounds"]("r", number, **changes)

    return make


def console(width=80, height=24, terminal=True):
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=terminal, color_system=None)


def drawn(runs, width=80, height=24):
    target = console(width, height)
    target.print(render("title", runs, target))
    return target.file.getvalue()


def progressed(plan, *events):
    run = RunProgress(plan, status=RUNNING)
    for event in events:
        run.heard(event)
    return run


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_table_fits_its_terminal_and_shows_where_a_run_is(plans, round_event, width):
    event = round_event(3, test_accuracy=0.8125, compile_s=1.0, wait_s=0.5)
    text = drawn([progressed(plans[0], event), *map(RunProgress, plans[1:])], width)
    assert max(map(len, text.splitlines())) <= width
    for part in ("inprocess s0", "3/10", "0.8125", "4.55 s", "~31.8 s", "■ train 44%", "■ compile 22%", "openwhisk s1"):
        assert part in text


def test_a_run_before_its_first_round_shows_its_set_up_step(plans):
    text = drawn([progressed(plans[0], SetupStep("start the platform"))])
    assert "inprocess seed 0, set-up: start the platform" in text


def test_many_runs_are_cut_to_the_height_around_the_one_that_runs(plans, round_event):
    runs = [RunProgress(plans[0], status="success") for _ in range(40)]
    runs += [progressed(plans[1], round_event(1))]
    runs += [RunProgress(plans[2]) for _ in range(40)]
    text = drawn(runs, height=20)
    assert len(text.splitlines()) <= 20
    assert "▶ flower s0" in text
    assert "more runs" in text


def test_time_left_is_of_warm_rounds_and_a_bound_where_there_is_a_target(plans, round_event):
    cold, warm = round_event(1, compile_s=20.0), round_event(2)
    run = progressed(plans[0], cold, warm)
    assert run.round_s == warm.round_s
    assert run.left_s == pytest.approx(8 * warm.round_s)
    assert progressed(plans[0], cold).round_s == cold.round_s


shares = st.lists(st.floats(0, 100), min_size=len(GROUPS), max_size=len(GROUPS)).filter(lambda values: sum(values) > 0)


@given(shares, st.integers(12, 60))
def test_a_bar_has_its_width_and_each_part_its_share(values, width):
    split = {name: value / sum(values) for name, value in zip(GROUPS, values, strict=True) if value}
    drawn_bar = bar(split, width)
    assert len(drawn_bar.plain) == width
    cells = {str(span.style): span.end - span.start for span in drawn_bar.spans}
    for name, share in split.items():
        assert abs(cells.get(COLOURS[name], 0) - share * width) < 1


def test_a_round_without_any_time_has_no_split(plans, round_event):
    event = round_event(1)
    no_time = replace(event, **{name: 0.0 for name in vars(event) if name.endswith("_s")})
    assert progressed(plans[0], no_time).split() == {}


def test_where_there_is_no_terminal_each_event_is_one_line(plans, round_event, row_makers):
    target = console(40, terminal=False)
    with open_view(target, "the title", plans) as view:
        assert isinstance(view, PlainView)
        view.started(plans[0])
        view.heard(plans[0], SetupStep("start 2 workers"))
        view.heard(plans[0], round_event(1, test_accuracy=0.5, wait_s=0.5))
        view.note("a note [that is no markup]")
        row = row_makers["runs"]("r", [row_makers["rounds"]("r", 1)], wall_s=75.0)
        view.ended(plans[0], row)
        view.ended(plans[1], row, kept=True)
    lines = target.file.getvalue().splitlines()
    assert lines[0] == "the title"
    assert "set-up: start 2 workers" in lines[2]
    assert re.search(r"^\d\d:\d\d:\d\d inprocess seed 0 +round 1/10: accuracy 0.5000, loss 1.0000, 3.55 s", lines[3])
    assert "train 56%" in lines[3]
    assert lines[3].endswith("; ~31.9 s left")
    assert lines[4] == "a note [that is no markup]"
    assert "success: 1 rounds" in lines[5]
    assert "kept, it had finished before" in lines[6]
    assert len(lines) == 7


def test_on_a_terminal_nothing_is_drawn_but_at_events(plans, round_event):
    target = console()
    with open_view(target, "the title", plans) as view:
        assert isinstance(view, LiveView)
        view.started(plans[0])
        before = target.file.tell()
        assert view._live.auto_refresh is False  # no thread draws while a clock runs
        view.heard(plans[0], round_event(1))
        assert target.file.tell() > before
