"""In a sweep, blocks of all cells take turns: none is made before another one has begun."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config.compose import Cell
from experiments.runs.sweep import _turns


def cell(name, seeds=1, repeats=1):
    return Cell(name, SimpleNamespace(seeds=list(range(seeds)), repeats=repeats), Path("top") / name)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=2, max_size=5))
def test_each_cell_has_as_many_turns_as_blocks_and_no_cell_is_ahead_of_another(sizes):
    cells = [cell(str(number), *size) for number, size in enumerate(sizes)]
    turns = _turns(cells)
    assert len(turns) == sum(seeds * repeats for seeds, repeats in sizes)
    done = dict.fromkeys([one.name for one in cells], 0)
    for one in turns:
        others = [other for other in cells if done[other.name] < len(other.config.seeds) * other.config.repeats]
        assert done[one.name] == min(done[other.name] for other in others)
        done[one.name] += 1
    assert _turns(cells) == turns


def test_the_order_of_cells_differs_between_blocks_where_there_are_several():
    cells = [cell(name, seeds=6) for name in "abc"]
    orders = {tuple(one.name for one in _turns(cells)[start : start + 3]) for start in range(0, 18, 3)}
    assert len(orders) > 2
    assert [one.name for one in _turns([cell(name) for name in "abc"])] == ["a", "b", "c"]
    assert len(_turns(cells[:1])) == 1  # alone, it makes its blocks itself


@pytest.mark.training
def test_a_sweep_of_two_seeds_takes_turns_and_ends_with_whole_tables(tmp_path, mnist_settings):
    from rich.console import Console

    from experiments.config.compose import compose_cells
    from experiments.runs.sweep import run_cells
    from metrics.collect.tables import load

    words = ["+exp=smoke", "model=mlp50", "backends=[inprocess]", "seeds=[0,1]", "rounds=1", "figures=false"]
    words += [f"data.cache={mnist_settings.cache}", f"out={tmp_path}/swept", "clients_per_round=1,2"]
    with (tmp_path / "said").open("w") as said:
        assert run_cells(compose_cells(words, multirun=True), Console(file=said)) == 0
    runs = load(tmp_path / "swept")["runs"].sort_values("started_at")
    assert list(runs["seed"]) == [0, 0, 1, 1]
    assert list(runs["block"]) == [0, 0, 1, 1]
    assert (tmp_path / "swept" / "report.html").exists()
    assert all((tmp_path / "swept" / f"clients_per_round={count}" / "report.md").exists() for count in (1, 2))
