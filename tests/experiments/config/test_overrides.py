import shutil

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from experiments.config import overrides
from experiments.config.compose import _composed_options, compose_cells
from experiments.config.errors import ConfigError
from experiments.config.overrides import expand, keys
from experiments.config.schema import CONFIGS
from experiments.config.sweep_table import CellTable


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


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """An experiment whose file declares a sweep."""
    conf = shutil.copytree(CONFIGS, tmp_path / "conf")
    (conf / "exp" / "grid.yaml").write_text(
        "# @package _global_\nexperiment: grid\n"
        "hydra: {mode: MULTIRUN, sweeper: {params: {clients_per_round: '1,2', optimizer: 'sgd,adam'}}}\n"
    )
    monkeypatch.setattr(overrides, "CONFIGS", conf)
    monkeypatch.setattr(overrides, "options", overrides.options.__wrapped__)  # without its cache


@pytest.mark.usefixtures("grid")
def test_a_sweep_in_the_file_needs_no_m_and_can_be_narrowed_without_renaming_its_cells():
    def cells(*words):
        return [cell.name for cell in expand(["+exp=grid", *words], multirun=False)]

    whole = cells()
    assert whole == [f"clients_per_round={count},optimizer={name}" for count in (1, 2) for name in ("sgd", "adam")]
    assert cells("optimizer=adam") == [whole[1], whole[3]]
    assert cells("optimizer=adam", "clients_per_round=2") == [whole[3]]
    assert cells("clients_per_round=2,7", "optimizer=sgd", "rounds=1,2") == [
        f"clients_per_round={count},optimizer=sgd,rounds={rounds}" for count in (2, 7) for rounds in (1, 2)
    ]


def rgg(*words):
    return [cell.name for cell in expand(["+exp=rgg_grid", *words], multirun=False)]


def test_a_table_of_cells_is_run_row_by_row_and_narrowed_by_what_it_has():
    whole = rgg()
    assert whole[0] == "rounds=50,clients_per_round=6,round_policy.k=4,platform.client.memory_mb=256"
    assert len(whole) == len(set(whole)) == 8
    assert rgg("clients_per_round=12,3") == [whole[3], whole[6]]
    assert rgg("clients_per_round=6", "platform.client.memory_mb=128") == [whole[5]]
    assert rgg("clients_per_round=3", "local_epochs=1,2") == [f"{whole[3]},local_epochs={count}" for count in (1, 2)]


def test_a_value_that_a_table_has_not_takes_the_place_of_those_it_has_and_equal_rows_are_one():
    assert rgg("rounds=2", "platform.client.memory_mb=256") == [
        f"rounds=2,clients_per_round={clients},round_policy.k={k},platform.client.memory_mb=256"
        for clients, k in ((6, 4), (6, 6), (3, 3), (12, 10))
    ]


def test_a_row_with_a_value_too_few_is_shown():
    with pytest.raises(ConfigError, match="'6 4': a row needs 3 values"):
        CellTable.parse("rounds clients_per_round round_policy.k", "20 6 4\n6 4\n")


@pytest.mark.usefixtures("grid")
def test_a_sweep_in_a_file_is_not_swept_over_with_other_experiments():
    with pytest.raises(ConfigError, match="'grid' is a sweep of its own"):
        expand(["+exp=smoke,grid"], multirun=True)


def test_the_plus_of_hydra_makes_no_difference():
    assert expand(["+rounds=3"], multirun=False) == expand(["rounds=3"], multirun=False)


def test_every_key_has_its_dotted_name():
    assert {"clients", "optimizer", "optimizer.learning_rate", "platform.client.memory_mb"} <= set(keys())


@pytest.mark.parametrize(
    "words",
    [
        ("rounds=5", "optimizer=sgd", "optimizer.learning_rate=0.5", "seeds=[3,1]"),
        ("+exp=smoke", "platform=google", "platform.project=p", "target_accuracy=null", "out='a b'"),
        ("experiment=x", "rounds=1", "rounds=2", "clients=${rounds}", "clients_per_round=${clients}", "partition=iid"),
        ("+exp=fabric_smoke", "fabric.groups.edge.network_delay_s=0.25"),
    ],
)
def test_a_cell_is_what_hydra_alone_would_compose(words):
    compose_cells([*words, "batch_size=7"])  # leaves nothing behind in the options that are kept
    (cell,) = compose_cells(list(words))
    with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
        assert OmegaConf.to_object(compose("config", overrides=list(words))) == cell.config


def test_a_grid_is_composed_once_per_choice_of_options():
    _composed_options.cache_clear()
    assert len(compose_cells(["+exp=fig3_nn"])) == 30
    assert _composed_options.cache_info().misses == 3  # the optimizers
