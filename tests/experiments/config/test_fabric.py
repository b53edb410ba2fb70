"""Fabrics as configurations choose them: what they become, and what is told before any work."""

import pytest

from experiments.config.backends import BACKENDS
from experiments.config.compose import compose_cells
from experiments.config.errors import ConfigError
from experiments.config.plan import configuration_hash
from experiments.config.prices import price_book

SMOKE = "+exp=fabric_smoke"
EDGE = "fabric.groups.edge"


def config(*words):
    (cell,) = compose_cells(list(words))
    return cell.config


def problems(*words):
    with pytest.raises(ConfigError) as told:
        compose_cells([SMOKE, *words])
    return told.value.problems


def test_the_papers_fabric(tmp_path):
    made = BACKENDS["fabric"].settings(config("+exp=fabric_paper"), tmp_path).fabric
    groups = made.fabric.groups
    assert [(group.name, group.platform, group.clients) for group in groups] == [
        ("edge", "openfaas", 3),
        ("openwhisk", "openwhisk", 7),
        ("google", "google", 90),
    ]
    assert made.fabric.aggregators.platform == "openwhisk"
    medians_s = {"edge": 15.2, "openwhisk": 8.8, "google": 13.9}  # published with the paper
    assert {group.name: group.cpu_share for group in groups} == pytest.approx(
        {name: medians_s["openwhisk"] / median_s for name, median_s in medians_s.items()}, abs=5e-4
    )


def test_each_site_has_its_platforms_settings_with_the_groups_over_them(tmp_path):
    changed = config(SMOKE, f"{EDGE}.cold_start_delay_s=1.5", f"{EDGE}.memory_mb=700", f"{EDGE}.network_delay_s=0.1")
    sites = BACKENDS["fabric"].settings(changed, tmp_path).fabric.sites
    assert [site.platform.name for site in sites] == ["openfaas", "openwhisk", "google"]
    edge = sites[0]
    assert (edge.client.memory_mb, edge.platform.pace.cold_start_delay_s, edge.group.network_delay_s) == (700, 1.5, 0.1)
    assert edge.platform.pace.cpu_share == 0.579
    assert edge.platform.pace.cpu_enforcement in ("cgroup", "simulated")


def test_where_it_runs_says_that_it_is_an_emulation():
    placement = BACKENDS["fabric"].placement(config(SMOKE))
    assert (placement.platform, placement.emulated, placement.runtime) == ("fabric smoke", True, "embedded")


def test_the_fabric_is_part_of_its_runs_ids_and_of_no_others():
    plain, slower = config(SMOKE), config(SMOKE, f"{EDGE}.cpu_share=0.1")
    assert configuration_hash(plain, "fabric") != configuration_hash(slower, "fabric")
    assert configuration_hash(plain, "inprocess") == configuration_hash(slower, "inprocess")


def test_each_group_is_priced_by_its_own_list_and_no_run_depends_on_it():
    changed = config(SMOKE, "fabric.groups.google.pricing=google_functions_gen1")
    edge, openwhisk, google = price_book(changed).places
    assert (edge.pricing, edge.function.is_known, edge.function.per_gb_s) == ("own_board", True, 0.0)
    assert "an assumption" in edge.function.source
    assert (openwhisk.function.per_gb_s, openwhisk.has_aggregator) == (1.7e-5, True)
    assert google.function.tiers[0] == (128, 0.2)
    assert configuration_hash(changed, "fabric") == configuration_hash(config(SMOKE), "fabric")
    assert price_book(config("backends=[inprocess]")).places == ()


def test_a_fabric_keeps_the_ids_that_its_runs_always_had():
    """A change here makes every finished run of everybody look like another configuration."""
    assert configuration_hash(config("+exp=fabric_paper", "workers=2"), "fabric") == "376d99d5"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (f"{EDGE}.pricing=free", "fabric.groups.edge.pricing='free': allowed are aws_lambda_arm64, aws_lambda_x86, "),
        (f"{EDGE}.platform=lambda", "fabric.groups.edge.platform='lambda': allowed are google, openfaas, openwhisk"),
        (f"{EDGE}.clients=7", "fabric.groups.edge.clients=7: is more than the partition has: clients=6"),
        (f"{EDGE}.clients=2", "clients=6: the groups of fabric=smoke have 2 + 2 + 3 = 7 clients"),
        (f"{EDGE}.clients=0", "fabric.groups.edge.clients=0: must be from 1 to 1,000,000"),
        (f"{EDGE}.cpu_share=0", f"{EDGE}.cpu_share=0.0: must be more than 0 and at most 1 (of a core), or null"),
        (f"{EDGE}.cpu_share=1.5", f"{EDGE}.cpu_share=1.5: must be more than 0 and at most 1 (of a core), or null"),
        (f"{EDGE}.network_delay_s=-1", "fabric.groups.edge.network_delay_s=-1.0: must be from 0 to 3,600 seconds"),
        (f"{EDGE}.memory_mb=0", "fabric.groups.edge.memory_mb=0: must be from 128 to 1,048,576 MB"),
        (f"{EDGE}.cpu_share=fast", "fabric.groups.edge.cpu_share=fast: must be a number or null"),
        ("fabric.aggregator=nobody", "fabric.aggregator='nobody': allowed are edge, google, openwhisk"),
    ],
)  # fmt: skip
def test_an_impossible_fabric_is_told(word, told):
    assert problems(word)[0].startswith(told)


def test_a_mistyped_key_of_a_group_is_told():
    assert problems(f"{EDGE}.speed=2")[0].startswith("unknown key 'fabric.groups.edge.speed'")


def test_a_fabric_without_groups_is_told():
    with pytest.raises(ConfigError, match="has no groups; backends=\\[fabric\\] needs some, such as fabric=paper"):
        compose_cells(["backends=[fabric]"])


def test_a_fabric_that_no_backend_uses_is_told():
    assert problems("backends=[inprocess]")[0].startswith("fabric='smoke': is for backends=[fabric]")


def test_a_real_platform_needs_its_credentials_and_no_simulated_slowness(monkeypatch):
    monkeypatch.delenv("OPENFAAS_AUTH", raising=False)
    told = problems(f"{EDGE}.api_host=https://gateway.example.org", f'{EDGE}.image="a/fl-{{function}}:1"')
    assert any("fabric.groups.edge.cpu_share=0.579: is for local platforms" in line for line in told)
    assert any(line.startswith("fabric.groups.edge: platform.auth_env='OPENFAAS_AUTH'") for line in told)
    assert any("cannot read this machine's files" in line for line in told)


def test_the_register_is_kept_where_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("REGISTER_PASSWORD", "hunter2")
    made = BACKENDS["fabric"].settings(config(SMOKE, "register=postgresql"), tmp_path).register
    assert (made.url, made.password_env) == ("postgresql://keeper@127.0.0.1/federation", "REGISTER_PASSWORD")
    assert BACKENDS["fabric"].settings(config(SMOKE), tmp_path).register.url is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["register.url=mysql://host/db"], "register.url: the register cannot be kept in mysql"),
        (["register=postgresql"], "register.url: the environment variable REGISTER_PASSWORD"),
        (["register.url=postgresql://keeper@host/db"], "is for register=postgresql"),
        (["register=postgresql", "register.url=postgresql://keeper:hunter2@host/db"], "contains a password"),
        (["register=postgresql", "register.password_env=hunter2"], "must be the name of an environment variable"),
    ],
)
def test_a_register_that_cannot_be_opened_is_told_and_no_secret_with_it(words, told, monkeypatch):
    monkeypatch.delenv("REGISTER_PASSWORD", raising=False)
    (line,) = problems(*words)
    assert told in line
    assert "hunter2" not in line
