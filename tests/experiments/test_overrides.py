from hypothesis import given
from hypothesis import strategies as st

from experiments.compose import compose_cells
from experiments.overrides import expand, keys


def names(*words):
    return [cell.name for cell in expand(list(words), multirun=True)]


def test_without_a_sweep_there_is_one_cell_without_a_name():
    (cell,) = expand(["+exp=quickstart", "rounds=5"], multirun=True)
    assert (cell.name, cell.words) == ("", ("+exp=quickstart", "rounds=5"))


def test_a_sweep_is_the_product_of_its_values_named_by_what_differs():
    assert names("+exp=quickstart", "optimizer=adam,sgd", "rounds=range(1,3)") == [
        "optimizer=adam,rounds=1",
        "optimizer=adam,rounds=2",
        "optimizer=sgd,rounds=1",
        "optimizer=sgd,rounds=2",
    ]


def test_experiments_can_be_swept_with_or_without_the_plus():
    assert names("exp=quickstart,smoke") == names("+exp=quickstart,smoke") == ["exp=quickstart", "exp=smoke"]


def test_each_cell_has_a_folder_below_the_results(tmp_path):
    cells = compose_cells([f"out={tmp_path}", "+exp=smoke", "seeds=[0],[1,2]"], multirun=True)
    assert [cell.config.seeds for cell in cells] == [[0], [1, 2]]
    assert len({cell.out for cell in cells}) == 2
    assert {cell.out.parent for cell in cells} == {tmp_path}


@given(st.lists(st.text("ab/. _", min_size=1, max_size=80), min_size=2, max_size=4, unique_by=str.strip))
def test_folder_names_are_plain_short_and_distinct(values):
    quoted = ",".join(f"'{value}'" for value in values)
    found = names(f"data.cache={quoted}")
    assert len(set(found)) == len(values)
    for name in found:
        assert "/" not in name
        assert " " not in name
        assert len(name) <= 120


def test_the_plus_of_hydra_makes_no_difference():
    assert expand(["+rounds=3"], multirun=False) == expand(["rounds=3"], multirun=False)


def test_every_key_has_its_dotted_name():
    assert {"clients", "optimizer", "optimizer.learning_rate", "platform.client.memory_mb"} <= set(keys())
