"""What is wrong is told by key, value and what is allowed, before any work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.config.compose import compose_cells
from experiments.config.errors import ConfigError, did_you_mean
from experiments.config.schema import CONFIGS

PROJECT = CONFIGS.parent


def problems(*words, multirun=False):
    with pytest.raises(ConfigError) as caught:
        compose_cells(list(words), multirun=multirun)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("words", "key", "value", "allowed"),
    [
        (["clients_per_round=200"], "clients_per_round", "200", "from 1 to clients=100"),
        (["clients_per_round=0"], "clients_per_round", "0", "from 1 to"),
        (["optimizer=adamm"], "optimizer", "'adamm'", "adam, nadam, sgd"),
        (["optimizer.name=adamm"], "optimizer.name", "'adamm'", "did you mean 'adam'"),
        (["optimizer={name:adam}"], "optimizer", '{"name": "adam"}', "adam, nadam, sgd"),
        (["optimizer.learning_rate=-0.1"], "optimizer.learning_rate", "-0.1", "more than 0"),
        (["optimizer.learning_rate=0"], "optimizer.learning_rate", "0.0", "more than 0"),
        (["optimizer.learning_rate=nan"], "optimizer.learning_rate", "NaN", "more than 0"),
        (["optimizer.learning_rate=inf"], "optimizer.learning_rate", "Infinity", "more than 0"),
        (["optimizer.learning_rate=fast"], "optimizer.learning_rate", "fast", "a number"),
        (["model=rnn"], "model", "'rnn'", "cnn, mlp50, nn"),
        (["platform=lambda"], "platform", "'lambda'", "openwhisk"),
        (["platform.name=openwisk"], "platform.name", "'openwisk'", "did you mean 'openwhisk'"),
        (["store=s3"], "store", "'s3'", "directory, minio"),
        (["flower.runtime=cloud"], "flower.runtime", "'cloud'", "deployment, simulation"),
        (["backends=[flowr]"], "backends", "'flowr'", "did you mean 'flower'"),
        (["backends=flower"], "backends", "flower", "[inprocess,flower]"),
        (["backends=[]"], "backends", "[]", "not be empty"),
        (["backends=[flower,flower]"], "backends", "[flower,flower]", "twice"),
        (["seeds=[]"], "seeds", "[]", "seeds=[0,1,2]"),
        (["seeds=[3,3]"], "seeds", "[3,3]", "twice"),
        (["seeds=[-1]"], "seeds", "[-1]", "from 0 to 4,294,967,295"),
        (["seeds=[0,x]"], "seeds", "[0,x]", "list of whole numbers"),
        (["target_accuracy=95"], "target_accuracy", "95.0", "from 0 to 1"),
        (["target_accuracy=-0.1"], "target_accuracy", "-0.1", "from 0 to 1"),
        (["local_epochs=0"], "local_epochs", "0", "from 1 to"),
        (["batch_size=0"], "batch_size", "0", "from 1 to"),
        (["rounds=2.5"], "rounds", "2.5", "a whole number"),
        (["rounds=null"], "rounds", "null", "a whole number"),
        (["rounds=true"], "rounds", "true", "a whole number"),
        (["workers=0"], "workers", "0", "from 1 to"),
        (["optimizer_state=kept"], "optimizer_state", "'kept'", "keep, reset"),
        (["clients=7", "clients_per_round=1"], "clients", "7", "divide the 60,000 images evenly"),
        (["clients=70000", "partition=iid"], "clients", "70000", "60,000"),
        (["partition.alpha=1"], "partition.alpha", "1.0", "partition=dirichlet"),
        (["partition=dirichlet", "partition.alpha=0"], "partition.alpha", "0.0", "more than 0"),
        (["platform.blocking_s=90"], "platform.blocking_s", "90.0", "60 seconds at most"),
        (["max_update_norm=0"], "max_update_norm", "'0'", "a number above 0 and at most 1e+30, or unlimited"),
        (["max_update_norm=nan"], "max_update_norm", "'nan'", "a number above 0"),
        (["max_update_norm=much"], "max_update_norm", "'much'", "a number above 0"),
        (["poison.share=1.5"], "poison.share", "1.5", "from 0 to 1"),
        (["poison.attack=lie"], "poison.attack", "'lie'", "constant, gaussian, none, sign_flip"),
        (["poison.share=0.1"], "poison.attack", "'none'", "an attack must be chosen"),
        (["strategy=mean"], "strategy", "'mean'", "fedprox, fedyogi, krum, median, scaffold, trimmed_mean"),
        (["strategy=fedprox", "strategy.mu=-1"], "strategy.mu", "-1.0", "from 0 to 1,000"),
        (["strategy=fedprox", "strategy.mu=null"], "strategy.mu", "null", "is for strategy=fedprox, and needed there"),
        (["strategy=fedavgm", "strategy.eta=0"], "strategy.eta", "0.0", "more than 0"),
        (["strategy=fedavgm", "strategy.momentum=1"], "strategy.momentum", "1.0", "from 0 to below 1"),
        (["strategy=fedadam", "strategy.beta_2=1"], "strategy.beta_2", "1.0", "from 0 to below 1"),
        (["strategy=fedyogi", "strategy.beta_1=nan"], "strategy.beta_1", "NaN", "from 0 to below 1"),
        (["strategy=fedyogi", "strategy.tau=0"], "strategy.tau", "0.0", "more than 0"),
        (["strategy.eta=1"], "strategy.eta", "1.0", "strategy=fedadam and strategy=fedyogi and strategy=scaffold"),
        (["strategy=scaffold"], "optimizer.name", "'adam'", "strategy=scaffold is made for sgd alone"),
        (["strategy.name=crum"], "strategy.name", "'crum'", "did you mean 'krum'"),
        (["strategy.f=1"], "strategy.f", "1", "is for strategy=krum"),
        (["strategy=krum", "strategy.f=null"], "strategy.f", "null", "needed there"),
        (["strategy=krum", "strategy.f=-1"], "strategy.f", "-1", "from 0 to"),
        (["strategy=krum", "strategy.m=0"], "strategy.m", "0", "from 1 to"),
        (["strategy=trimmed_mean", "strategy.beta=0.5"], "strategy.beta", "0.5", "from 0 to below 0.5"),
        (["strategy=krum", "strategy.f=49"], "strategy.name", "'krum'", "needs 101 updates a round or more"),
        (
            ["strategy=median", "model=cnn", "platform.aggregator.memory_mb=256"],
            "platform.aggregator.memory_mb",
            "256",
            "strategy=median with clients_per_round=100 takes 480 MB",
        ),
        (["strategy=krum", "strategy.m=100"], "strategy.name", "'krum'", "needs 101 updates"),
        (
            ["strategy=krum", "strategy.f=2", "round_policy=first_k", "round_policy.k=6"],
            "strategy.name",
            "'krum'",
            "needs 7 updates a round or more, but a round may have only 6",
        ),
        (["round_policy=first"], "round_policy", "'first'", "deadline, first_k, wait_all"),
        (["round_policy.name=firstk"], "round_policy.name", "'firstk'", "did you mean 'first_k'"),
        (["round_policy=first_k", "round_policy.k=101"], "round_policy.k", "101", "from 1 to clients_per_round=100"),
        (["round_policy=first_k", "round_policy.k=0"], "round_policy.k", "0", "from 1 to"),
        (["round_policy=first_k", "round_policy.k=null"], "round_policy.k", "null", "needed there"),
        (["round_policy.k=3"], "round_policy.k", "3", "is for round_policy=first_k"),
        (["round_policy=deadline", "round_policy.deadline_s=0"], "round_policy.deadline_s", "0.0", "more than 0"),
        (["round_policy=deadline", "round_policy.min_updates=200"], "round_policy.min_updates", "200", "from 1 to"),
        (["platform.max_refused=0"], "platform.max_refused", "0", "from 1 to"),
        (["platform.backoff_s=-1"], "platform.backoff_s", "-1.0", "more than 0 and at most 604,800 seconds"),
        (["platform.client.memory_mb=0"], "platform.client.memory_mb", "0", "from 128 to 1,048,576 MB"),
        (["platform.client.memory_mb=127"], "platform.client.memory_mb", "127", "platforms allow no function less"),
        (["platform.grant_s=604801"], "platform.grant_s", "604801", "valid for 7 days at most"),
        (["platform.client.timeout_s=1e12"], "platform.client.timeout_s", "1000000000000.0", "at most 604,800 seconds"),
        (
            ["platform=openfaas", "backends=[openfaas]", "platform.callback_host=h:70000"],
            "platform.callback_host",
            "'h:70000'",
            "from 1 to 65535",
        ),
        (
            ["platform.api_host=http://h:70000", "store=minio"],
            "platform.api_host",
            "'http://h:70000'",
            "from 1 to 65535",
        ),
        (["seeds=[4294967296]"], "seeds", "[4294967296]", "from 0 to 4,294,967,295"),
        (["workers=100000"], "workers", "100000", "from 1 to 1,024"),
        (["rounds=10000000000000000000"], "rounds", "10000000000000000000", "from 1 to 1,000,000"),
        (["store.retries=-1"], "store.retries", "-1", "from 0 to 100"),
        (["cluster.every_s=0"], "cluster.every_s", "0.0", "more than 0"),
        (["pricing.function.per_gb_s=-1"], "pricing.function.per_gb_s", "-1.0", "from 0 to"),
        (["billing.egress_share=1.1"], "billing.egress_share", "1.1", "from 0 to 1"),
        (["register.name=oracle"], "register.name", "'oracle'", "postgresql, sqlite"),
        (["experiment=a/b"], "experiment", "'a/b'", "plain name"),
        (["store.endpoint=h:1"], "store.endpoint", "'h:1'", "store=minio"),
        (["store=minio", "store.endpoint=h:0"], "store.endpoint", "'h:0'", "from 1 to 65535"),
        (["store=minio"], "store.access_key_env", "'MINIO_ACCESS_KEY'", "not set"),
        (["cluster=kubernetes"], "cluster.name", "'kubernetes'", "platform.api_host"),
        (["platform.api_host=http://x", "platform.auth_env=NOT_SET"], "store.name", "'directory'", "store=minio"),
        (["exp=quick"], "exp", "'quick'", "did you mean 'quickstart'"),
    ],
)
def test_an_impossible_value_is_told_with_its_key_and_what_is_allowed(words, key, value, allowed, monkeypatch):
    monkeypatch.delenv("MINIO_ACCESS_KEY", raising=False)
    first = problems(*words)[0]
    assert first.startswith(f"{key}={value}: ")
    assert allowed in first


@pytest.mark.parametrize(
    ("word", "key", "meant"),
    [
        ("clints=4", "clints", "'clients'"),
        ("+clints=4", "clints", "'clients'"),
        ("optimizer.learning_rte=1", "optimizer.learning_rte", "'optimizer.learning_rate'"),
        ("learning_rate=1", "learning_rate", "'optimizer.learning_rate'"),
        ("+platform.client.memory=1", "platform.client.memory", "'platform.client.memory_mb'"),
        ("optimiser=adam", "optimiser", "'optimizer'"),
    ],
)
def test_an_unknown_key_is_told_with_the_one_that_was_meant(word, key, meant):
    (problem,) = problems(word)
    assert problem.startswith(f"unknown key {key!r} (did you mean {meant}")


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("seeds=[0", "cannot read 'seeds=[0'"),
        ("seeds", "write key=value"),
        ("data.path=a=b", "quotes"),
        ("~seeds", "cannot be taken away"),
        ("hydra.run.dir=x", "out=DIR"),
        ("hydra/launcher=joblib", "out=DIR"),
        ("optimizer=adam,sgd", "need -m"),
        ("seeds=0,1", "a list is written [a,b]"),
        ("optimizer@model=adam", "cannot be put elsewhere"),
        ("rounds=${clint}", "'clint' not found"),
        ("rounds=???", "rounds=???: must be a whole number"),
    ],
)
def test_other_mistakes_have_words_of_their_own(word, part):
    (problem,) = problems(word)
    assert part in problem


def test_all_problems_are_told_at_once():
    assert len(problems("clients_per_round=200", "target_accuracy=2", "batch_size=0")) == 3


def test_a_wrong_cell_of_a_sweep_is_found_before_the_first_one_runs():
    assert problems("clients_per_round=10,200", multirun=True) == [
        "clients_per_round=200: must be from 1 to clients=100"
    ]
    assert problems("optimizer=adam,adamm", multirun=True)[0].startswith("optimizer='adamm': allowed are")
    assert problems("rounds=1,1", multirun=True) == ["the sweep asks for the same cell twice; name each value once"]
    assert "needs a list of values" in problems("rounds=interval(1,3)", multirun=True)[0]


@pytest.mark.parametrize(
    "word",
    [
        "optimizer=glob(*)",
        "pricing=glob([a,b],exclude=c)",
        "+exp=glob(*)",
        "rounds=interval(1,3)",
        "rounds=tag(a,interval(1,3))",
        "rounds=range(1,100000000)",
        "rounds=range(3,3)",
        "rounds=range(1,2,0)",
        "rounds=range(1.5,0,1)",
        "rounds=choice()",
        "seeds=extend_list(1)",
        "out=json_str({a:1})",
        "rounds=foo(1)",
        "rounds=shuffle(1)",
        "rounds=sort(a,1)",
        "rounds=int(x)",
        "rounds=range(a,b)",
    ],
)
@pytest.mark.parametrize("multirun", [True, False])
def test_every_other_form_of_hydras_grammar_is_refused_in_words(word, multirun):
    for problem in problems(word, multirun=multirun):
        assert "Exception" not in problem
        assert word.partition("=")[0].lstrip("+") in problem


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("rounds=choice(1,2)", [1, 2]),
        ("rounds=range(1,4)", [1, 2, 3]),
        ("rounds=range(3,0,-1)", [3, 2, 1]),
        ("rounds=sort(2,1)", [1, 2]),
        ("rounds=tag(a,choice(1,2))", [1, 2]),
        ("rounds=int(3.0)", [3]),
    ],
)
def test_the_forms_that_are_lists_of_values_are_swept_over(word, values):
    assert [cell.config.rounds for cell in compose_cells([word], multirun=True)] == values


def test_shuffle_sweeps_over_the_same_values():
    cells = compose_cells(["rounds=shuffle(range(1,4))"], multirun=True)
    assert {cell.config.rounds for cell in cells} == {1, 2, 3}


def test_an_unknown_key_in_an_experiments_file_is_told_with_the_file(tmp_path, monkeypatch):
    import shutil

    from experiments.config import compose, overrides

    conf = shutil.copytree(CONFIGS, tmp_path / "conf")
    (conf / "exp" / "mine.yaml").write_text("# @package _global_\nclints: 3\n")
    for module in (compose, overrides):
        monkeypatch.setattr(module, "CONFIGS", conf)
    monkeypatch.setattr(overrides, "options", lambda group: ("mine",))
    assert problems("+exp=mine") == ["unknown key 'clints' (did you mean 'clients'?) in conf/exp/mine.yaml"]


def test_more_supernodes_than_fit_are_refused_before_any_run(tmp_path):
    from rich.console import Console

    from experiments.runs.cell import run_cell

    (cell,) = compose_cells(["+exp=quickstart", "flower=deployment", f"out={tmp_path / 'out'}"])
    with pytest.raises(ConfigError, match=r"clients=100 with flower.runtime=deployment.*clients<=20"):
        run_cell(cell, Console())
    assert not (tmp_path / "out").exists()


def test_suggestions_are_made_only_where_something_is_close():
    assert did_you_mean("zzz", ["clients", "rounds"]) == ""


CALL = """
import sys
from experiments.run import main
code = main(sys.argv[1:])
heavy = {"tensorflow", "pandas", "flwr", "ray", "matplotlib", "pyarrow", "rich"} & set(sys.modules)
print("loaded", sorted(heavy))
sys.exit(code)
"""


@pytest.mark.parametrize("words", [["bad=1"], ["optimizer=adamm"], ["clients_per_round=200"], ["-m", "rounds=0,1"]])
def test_the_command_line_ends_at_once_with_code_2_one_line_and_no_traces(words, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", CALL, "+exp=quickstart", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == "loaded []\n"  # nothing that takes seconds was waited for
    assert list(Path(tmp_path).iterdir()) == []


def test_help_lists_experiments_and_keys(capsys):
    from experiments.run import main

    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert "quickstart" in said
    assert "optimizer.learning_rate" in said


def test_without_arguments_each_experiment_has_a_line_that_fits_and_no_key_is_listed(capsys):
    from experiments.config.overrides import descriptions, options
    from experiments.run import main

    assert main([]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert len(lines) < 24
    assert tuple(descriptions()) == options("exp")
    for name, said in descriptions().items():
        assert len(said.split()) >= 3  # each file says what it is about
        assert sum(line.split() == [name, *said.split()] for line in lines) == 1
    assert "learning_rate" not in " ".join(lines)


def test_show_does_nothing_but_print(capsys, tmp_path, monkeypatch):
    import json

    from experiments.run import main

    monkeypatch.chdir(tmp_path)
    assert main(["+exp=quickstart", "--show"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["config"]["rounds"] == 3
    assert len(shown["runs"]) == 3
    assert list(tmp_path.iterdir()) == []
