"""No value of any key ends in a traceback: it is accepted, or refused in one line that a terminal can show."""

from dataclasses import is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from experiments.config.compose import compose_cells
from experiments.config.errors import ConfigError
from experiments.config.overrides import keys
from experiments.config.schema import ExperimentConfig, GroupConfig
from experiments.run import main
from experiments.runs import sweep

FUNCTIONS = ("+exp=smoke", "backends=[openwhisk]", "store=minio")
FABRIC = ("+exp=fabric_smoke",)
ABSURD = [
    "99999999999999999999",
    "-1",
    "1e308",
    "nan",
    "-inf",
    "''",
    "null",
    "true",
    "[[]]",
    "{a:1}",
    "[a,b]",
    "'w😀'",
    f"'{'x' * 5000}'",
    "'a\nb'",
    "'../\x00'",
    "'http://[::1'",
    "'h:99999'",
]
LONGEST = 400


def leaves():
    for key in keys():
        hint = ExperimentConfig
        for part in key.split("."):
            hint = get_type_hints(hint)[part]
        if not (isinstance(hint, type) and is_dataclass(hint)):
            yield FUNCTIONS, key
    for key in get_type_hints(GroupConfig):
        yield FABRIC, f"fabric.groups.edge.{key}"


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    for name in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
        monkeypatch.setenv(name, "x")


@pytest.mark.slow
@pytest.mark.parametrize(("base", "key"), list(leaves()), ids=lambda part: part if isinstance(part, str) else "")
def test_an_absurd_value_is_accepted_or_refused_in_a_short_line(base, key):
    for value in ABSURD:
        try:
            compose_cells([*base, f"{key}={value}"])
        except ConfigError as error:
            for problem in error.problems:
                assert problem.isprintable(), problem
                assert len(problem) < LONGEST, problem


REFUSED = [
    ("seeds=[99999999999999999999]", "from 0 to 4,294,967,295"),
    ("seeds=[[]]", "a list of whole numbers"),
    ("pricing.function.tiers=[a,b]", "a list of pairs of numbers"),
    ("store.endpoint=http://h", "without a scheme"),
    ("store.endpoint=h:99999", "from 1 to 65535"),
    ("store.endpoint='h/path'", "HOST or HOST:PORT"),
    ("store.endpoint='w😀'", "HOST or HOST:PORT"),
    ("store.bucket=My_Bucket", "as S3 names buckets"),
    ("store.bucket=192.168.0.1", "as S3 names buckets"),
    ("store.region='eu west'", "such as us-east-1"),
    ("store.retries=null", "is needed with store=minio"),
    ("register.url='http://[::1'", "cannot be read"),
    ("platform.grant_s=999999999", "7 days at most"),
    ("platform.client.memory_mb=1", "from 128"),
    ("platform.api_host=h", "must begin with https://"),
    ("platform.api_host='http://a b'", "https://HOST:PORT"),
    ("cluster.namespace=Open_Whisk", "as Kubernetes names them"),
    ("workers=100000000", "from 1 to 1,024"),
    ("experiment='   '", "plain name"),
    ("out='a\nb'", "one line of printable characters"),
]


@pytest.mark.parametrize(("word", "allowed"), REFUSED)
def test_what_only_a_later_layer_used_to_check_is_refused_before_any_work(word, allowed, capsys, monkeypatch):
    monkeypatch.setattr(sweep, "run_cells", lambda *_: pytest.fail("the work was begun"))
    assert main([*FUNCTIONS, word]) == 2
    said = capsys.readouterr().err
    assert f"error: {word.partition('=')[0]}" in said
    assert allowed in said


@pytest.mark.parametrize(
    "word",
    [
        "store.endpoint=minio_1:9000",
        "store.endpoint='[::1]:9000'",
        "store.bucket=a.b-c",
        "store.region=eu-west-3",
        "out='w😀 ä'",
        "experiment='w😀'",
    ],
)
def test_names_that_are_possible_are_not_refused(word):
    compose_cells([*FUNCTIONS, word])


def test_a_round_uses_no_more_workers_than_it_has_clients_and_the_row_says_both():
    from experiments.config.backend_settings import capped, flower, in_flight, inprocess
    from experiments.config.plan import plan_runs

    (cell,) = compose_cells(["+exp=smoke", "workers=24", "backends=[inprocess,flower]"])
    assert cell.config.clients_per_round == 2
    assert inprocess(cell.config, Path()).workers == flower(cell.config, Path()).workers == in_flight(cell.config) == 2
    for plan in plan_runs(cell.config, cell.out):
        assert (plan.placement.workers, plan.config.workers) == (2, 24)  # what is used; what was asked
    assert capped(cell.config) == ["workers=24: a round has clients_per_round=2, so that 2 workers are started"]
    (cell,) = compose_cells(["+exp=smoke", "workers=2"])
    assert capped(cell.config) == []


def test_a_run_keeps_its_id_whatever_a_round_can_use_of_its_workers():
    """Ids of finished runs must not change: they have the workers that were asked for."""
    from experiments.config.plan import plan_runs

    ids = set()
    for workers in (2, 24):
        (cell,) = compose_cells(["+exp=smoke", f"workers={workers}"])
        ids |= {plan.run_id for plan in plan_runs(cell.config, cell.out)}
    assert len(ids) == 2
