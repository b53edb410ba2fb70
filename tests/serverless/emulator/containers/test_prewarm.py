"""Containers that were started before anybody asked for them."""

import psutil
import pytest

from serverless.emulator.settings import EmulatorSettings, StemCells

PID = "import os\ndef main(args):\n    return {'pid': os.getpid()}\n"
CELLS = (StemCells("python:3", 128, 2),)
SMALL = {"memory": 128}


def pids(whisk):
    return {container.pid for container in whisk.containers()}


def wait_for(whisk, tools, count):
    assert tools.eventually(lambda: len(pids(whisk)) == count), pids(whisk)
    return pids(whisk)


def call(whisk, name):
    return whisk.call(name).json()


def test_an_action_of_the_kind_takes_one_and_it_is_replaced(start, tools):
    whisk = start(stem_cells=CELLS)
    cells = wait_for(whisk, tools, 2)
    whisk.put("first", PID, limits=SMALL)
    record = call(whisk, "first")
    pid = record["response"]["result"]["pid"]
    assert pid in cells
    assert tools.annotations(record)["initTime"] > 0, "the code is still to be loaded"
    assert cells < wait_for(whisk, tools, 3)
    again = call(whisk, "first")
    assert again["response"]["result"]["pid"] == pid
    assert "initTime" not in tools.annotations(again)


@pytest.mark.parametrize(("kind", "memory"), [("python:3.11", 128), ("python:3", 256)])
def test_an_action_of_another_kind_or_memory_starts_its_own(start, tools, kind, memory):
    whisk = start(stem_cells=CELLS)
    cells = wait_for(whisk, tools, 2)
    whisk.put("other", PID, kind=kind, limits={"memory": memory})
    assert call(whisk, "other")["response"]["result"]["pid"] not in cells
    assert cells < pids(whisk)


def test_they_count_towards_the_budget_and_make_room_for_nobody(start, tools):
    whisk = start(pool_memory_mb=512, memory_max_mb=256, stem_cells=CELLS)
    cells = wait_for(whisk, tools, 2)
    for name in ("one", "two"):
        whisk.put(name, PID, limits={"memory": 256})
    first = call(whisk, "one")["response"]["result"]["pid"]
    second = call(whisk, "two")["response"]["result"]["pid"]
    assert pids(whisk) == cells | {second}
    assert first not in pids(whisk)


def test_one_that_dies_is_replaced_at_the_next_call(start, tools):
    whisk = start(stem_cells=CELLS)
    victim = min(wait_for(whisk, tools, 2))
    psutil.Process(victim).kill()
    wait_for(whisk, tools, 1)
    whisk.put("next", PID, limits=SMALL)
    assert call(whisk, "next")["response"]["success"]
    assert victim not in wait_for(whisk, tools, 3)


def test_their_memory_is_limited_too(start, tools):
    whisk = start(stem_cells=CELLS)
    wait_for(whisk, tools, 2)
    whisk.put("greedy", "def main(args):\n    return {'n': len(bytearray(400 << 20))}\n", limits=SMALL)
    assert call(whisk, "greedy")["response"]["result"]["error"] == "The action exhausted its memory and was aborted."


def test_a_server_that_cannot_start_them_goes_on_without(start, tmp_path):
    whisk = start(stem_cells=CELLS, python="/nowhere/python")
    whisk.put("hopeless", PID)
    for _ in range(20):
        assert whisk.call("hopeless").status_code == 500
    log = (tmp_path / "emulator.log").read_text()
    tries = log.count("no pre-warmed container")
    assert 5 <= tries <= 6, "it stops after five failures; two containers are wanted at once"


def test_settings_come_back_from_json():
    settings = EmulatorSettings.from_json('{"stem_cells": [{"kind": "python:3", "memory_mb": 128, "count": 2}]}')
    assert settings.stem_cells == CELLS
    assert settings.to_dict()["stem_cells"] == ({"kind": "python:3", "memory_mb": 128, "count": 2},)


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ("1", "must be a list of"),
        ('[{"kind": "python:3"}]', "must be a list of"),
        ('[{"kind": "python:3", "memory_mb": true, "count": 1}]', "must be a list of"),
        ('[{"kind": "python:3", "memory_mb": 128, "count": 0}]', "must be a list of"),
        ('[{"kind": "python:3", "memory_mb": 128, "count": 5}]', "leaves no room for an action of memory_max_mb=512"),
    ],
)
def test_settings_that_are_not_allowed(cells, says):
    with pytest.raises(ValueError, match=says):
        EmulatorSettings.from_json(f'{{"stem_cells": {cells}}}')
