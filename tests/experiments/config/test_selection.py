"""Selection as a configuration chooses it."""

import pytest

from experiments.config.compose import compose_cells
from experiments.config.errors import ConfigError
from experiments.config.plan import plan_runs


@pytest.mark.parametrize("name", ["random", "fixed"])
def test_every_backend_can_draw(name, tmp_path):
    (cell,) = compose_cells([f"selection={name}"])
    assert {plan.job.selection for plan in plan_runs(cell.config, tmp_path)} == {name}


def test_selection_by_speed_is_for_functions_alone():
    with pytest.raises(ConfigError, match="so that inprocess and flower cannot do the same; use backends"):
        compose_cells(["selection=fastest_mix"])
    (cell,) = compose_cells(["selection=fastest_mix", "backends=[openwhisk]"])
    assert cell.config.selection == "fastest_mix"


def test_a_mistyped_selection_is_told():
    with pytest.raises(ConfigError, match="allowed are fastest_mix, fixed, random"):
        compose_cells(["selection=fast"])
