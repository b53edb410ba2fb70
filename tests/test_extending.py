"""docs/extending.md does what it says: each chapter is applied to a copy of the project, and used there."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/extending.md"
COPIED = ("task", "machine", "metrics", "baselines", "serverless", "experiments", "conf", "pyproject.toml")


@dataclass(frozen=True)
class Chapter:
    """The blocks of a chapter: its new files, its changes of existing files, and its commands."""

    files: dict[str, str]
    diffs: tuple[str, ...]
    commands: tuple[str, ...]

    def lines(self) -> tuple[int, int, int]:
        """Lines of new code, of options in conf, and of changes elsewhere."""
        options = sum(len(text.splitlines()) for path, text in self.files.items() if path.startswith("conf/"))
        files = sum(len(text.splitlines()) for text in self.files.values())
        changed = re.findall(r"^[+-](?![+-]{2} )", "".join(self.diffs), re.MULTILINE)
        return files - options, options, len(changed)


@cache
def chapters() -> dict[str, Chapter]:
    titles = re.split(r"^## (.+)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {title: read(text) for title, text in zip(titles[::2], titles[1::2], strict=True)}


def read(text: str) -> Chapter:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    files = {code.partition("\n")[0].removeprefix("# "): code for kind, code in blocks if kind in ("python", "yaml")}
    diffs = tuple(code for kind, code in blocks if kind == "diff")
    return Chapter(files, diffs, tuple(code for kind, code in blocks if kind == "sh"))


@dataclass(frozen=True)
class Project:
    """A copy of the project in which chapters have been applied."""

    folder: Path

    def apply(self, chapter: Chapter) -> None:
        for name, code in chapter.files.items():
            path = self.folder / name
            assert not path.exists(), f"{name} is there already"
            path.parent.mkdir(exist_ok=True)
            path.write_text(code, encoding="utf-8")
        for diff in chapter.diffs:
            done = self._start("git", "apply", "-", input=diff)
            assert done.returncode == 0, f"a change of docs/extending.md does not fit any more:\n{done.stderr}\n{diff}"

    def run(self, *command: str) -> str:
        """Run a command in the copy, with its packages; return what it prints."""
        done = self._start(*command)
        assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def python(self, code: str) -> str:
        """Run Python code with the packages of the copy, and of nowhere else."""
        here = f"import task\nassert task.__file__.startswith({str(self.folder)!r}), task.__file__\n"
        return self.run(sys.executable, "-c", here + code)

    def follow(self, chapter: Chapter) -> None:
        """Run the chapter's command as it is written."""
        (command,) = chapter.commands
        program, *words = shlex.split(command)
        assert program == "python"
        self.run(sys.executable, *words)

    def table(self, results: str, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "results" / results / f"{name}.parquet")

    def _start(self, *command: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        alone = {"PYTHONPATH": str(self.folder), "GIT_CEILING_DIRECTORIES": str(self.folder.parent)}
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **alone},
            input=input,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture
def project(tmp_path):
    listed = subprocess.run(["git", "ls-files", *COPIED], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(lambda name: (ROOT / name).exists(), listed.splitlines()):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, path)
    return Project(tmp_path / "project")


@pytest.fixture
def extended(project, request):
    """The copy with the chapter that the test names, and the chapter."""
    chapter = chapters()[request.param]
    project.apply(chapter)
    return project, chapter


def chapter(title):
    return pytest.mark.parametrize("extended", [title], indirect=True, ids=[title])


@pytest.fixture
def with_images(extended, mnist_settings):
    """The same, with the images of this checkout."""
    project, chapter = extended
    (project.folder / ".cache").symlink_to(mnist_settings.cache.parent)
    return project, chapter


@pytest.fixture
def with_results(extended, experiment_writer):
    """The same, with invented results of the quickstart."""
    project, chapter = extended
    experiment_writer(project.folder / "results" / "quickstart")
    return project, chapter


def test_the_table_counts_the_lines_of_each_chapter():
    rows = re.findall(r"^\| \[(.+?)\]\(#.*?\) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE.read_text(), re.MULTILINE)
    assert {title: tuple(map(int, counts)) for title, *counts in rows} == {
        title: chapter.lines() for title, chapter in chapters().items()
    }


@pytest.mark.parametrize("title", chapters())
def test_new_code_meets_the_project_s_style(project, title):
    project.apply(chapters()[title])
    names = [name for name in chapters()[title].files if name.endswith(".py")]
    if names:
        project.run("ruff", "check", *names)
        project.run("ruff", "format", "--check", *names)


@pytest.mark.exhaustive
def test_all_chapters_together_pass_the_checks_of_types_and_imports(project):
    for chapter in chapters().values():
        project.apply(chapter)
    project.run("mypy")
    project.run("lint-imports")


LABEL = """
from pathlib import Path
from metrics.analysis.labels import common_label, label_runs
from metrics.collect.tables import load
print(common_label(label_runs(load(Path("results/{}"))["runs"])))
"""

MODEL = """
from task.engines.engine import engine_name
from task.models import initial_weights
assert sum(array.size for array in initial_weights("mlp200", 0).values()) == 159_010
assert engine_name("mlp200") == "numpy"
"""


@chapter("A model")
def test_a_model(extended):
    extended[0].python(MODEL)


@pytest.mark.training
@chapter("A model")
def test_a_model_is_trained(with_images):
    project, chapter = with_images
    project.follow(chapter)
    run = project.table("mlp200", "runs").iloc[0]
    assert (run["model"], run["status"], run["rounds"]) == ("mlp200", "success", 2)


DATA_SET = """
from pathlib import Path
import numpy as np
from experiments.config.compose import compose_cells
from experiments.config.errors import ConfigError
from task.data import DataSettings, load_images

first = load_images("digits", DataSettings(Path("digits")))
again = load_images("digits", DataSettings(Path("digits")))
assert (first.source, again.source) == ("scikit-learn's load_digits, now in digits", "digits")
assert first.train_images.shape == (1_500, 28, 28) and first.test_labels.shape == (297,)
assert set(again.train_labels) == set(range(10)) and np.array_equal(first.test_images, again.test_images)

(cell,) = compose_cells(["+exp=smoke", "data=digits", "clients=50"])
assert cell.config.data.name == "digits"
try:
    compose_cells(["+exp=smoke", "data=digits"])
except ConfigError as error:
    assert "do not divide the 1,500 images evenly" in str(error), error
else:
    raise AssertionError("100 x 2 shards of 1,500 images")
"""


@chapter("A data set")
def test_a_data_set(extended):
    extended[0].python(DATA_SET)


@pytest.mark.training
@chapter("A data set")
def test_a_data_set_is_learnt(extended):
    project, chapter = extended
    project.follow(chapter)
    run = project.table("digits", "runs").iloc[0]
    assert (run["status"], run["rounds"]) == ("success", 2)
    assert run["dataset_sha256"] not in ("", "287f071c50713554ae67fc07afab411569438cd923c252de392b06f8a83dcd20")
    assert "on digits" in project.python(LABEL.format("digits"))


OPTIMIZER = """
import numpy as np
from task.engines.optimizers import OPTIMIZERS, fresh_state

optimizer = OPTIMIZERS["momentum"](0.1)
weights = {"w": np.array([1.0, -2.0], np.float32)}
state = fresh_state(optimizer, {"w": (2,)})
w, v = np.array([1.0, -2.0]), np.zeros(2)
for gradient in ([0.5, 1.0], [-0.25, 3.0], [0.0, -1.0]):
    optimizer.numpy_step(weights, state, {"w": np.array(gradient, np.float32)})
    v = 0.9 * v - 0.1 * np.array(gradient)
    w = w + v
    np.testing.assert_allclose(weights["w"], w, rtol=1e-6)
    np.testing.assert_allclose(state["w/velocity"], v, rtol=1e-6)
"""
OPTIMIZER_IN_KERAS = """
import numpy as np
from task.engines.optimizers import OPTIMIZERS, fresh_state
from task.engines.runtime import tensorflow

tf = tensorflow()
import keras

optimizer = OPTIMIZERS["momentum"](0.01)
theirs, reference = keras.Variable([1.0, -2.0]), keras.optimizers.SGD(momentum=0.9)
ours, state = tf.Variable([1.0, -2.0]), fresh_state(optimizer, {"w": (2,)})
variables = {name: tf.Variable(array) for name, array in state.items()}
weights = {"w": np.array([1.0, -2.0], np.float32)}
for gradient in ([0.5, 1.0], [-0.25, 3.0], [0.0, -1.0]):
    optimizer.tensorflow_step({"w": ours}, variables, {"w": tf.constant(gradient)})
    optimizer.numpy_step(weights, state, {"w": np.array(gradient, np.float32)})
    reference.apply([tf.constant(gradient)], [theirs])
    np.testing.assert_allclose(ours.numpy(), weights["w"], rtol=1e-6)
    np.testing.assert_allclose(ours.numpy(), np.asarray(theirs), rtol=1e-6)
"""


@chapter("An optimizer")
def test_an_optimizer(extended):
    extended[0].python(OPTIMIZER)


@pytest.mark.training
@chapter("An optimizer")
def test_an_optimizer_takes_the_steps_of_keras_in_both_engines(extended):
    extended[0].python(OPTIMIZER_IN_KERAS)


@pytest.mark.training
@chapter("An optimizer")
def test_an_optimizer_trains(with_images):
    project, chapter = with_images
    project.follow(chapter)
    run = project.table("momentum", "runs").iloc[0]
    assert (run["optimizer"], run["status"], run["rounds"]) == ("momentum", "success", 2)


STRATEGY = """
import numpy as np
from experiments.config.compose import compose_cells
from task.strategies import STRATEGIES

(cell,) = compose_cells(["+exp=smoke", "strategy=one_vote"])
assert cell.config.strategy.name == "one_vote"
strategy = STRATEGIES["one_vote"]()
strategy.add({"w": np.float32([1.0])}, 1)
strategy.add({"w": np.float32([3.0])}, 99)
assert strategy.result()["w"] == 2.0
"""


@chapter("A strategy")
def test_a_strategy(extended):
    extended[0].python(STRATEGY)


@pytest.mark.training
@chapter("A strategy")
def test_a_strategy_averages(with_images):
    project, chapter = with_images
    project.follow(chapter)
    run = project.table("one_vote", "runs").iloc[0]
    assert (json.loads(run["strategy"]), run["status"], run["rounds"]) == ({"name": "one_vote"}, "success", 2)


ROUND_POLICY = """
from experiments.config.backend_settings import round_policy
from experiments.config.compose import compose_cells
from serverless.rounds.round_policies import Tally, is_hopeless

(cell,) = compose_cells(["+exp=quickstart", "round_policy=majority"])
policy = round_policy(cell.config)
assert str(policy) == "majority"
assert [policy.is_closed(Tally(5, arrived)) for arrived in (2, 3, 5)] == [False, True, True]
assert (policy.needs(5), policy.counts(5), policy.needs(4)) == (3, 3, 3)
assert is_hopeless(policy, Tally(5, failed=3)) and not is_hopeless(policy, Tally(5, failed=2))
"""


@chapter("A round policy")
def test_a_round_policy(extended):
    extended[0].python(ROUND_POLICY)


@pytest.mark.server
@pytest.mark.training
@chapter("A round policy")
def test_a_round_policy_closes_rounds(with_images):
    project, chapter = with_images
    project.follow(chapter)
    rounds, clients = project.table("majority", "rounds"), project.table("majority", "invocations")
    assert list(rounds["updates"]) == [3, 3]
    counted = clients[(clients["function"] == "client") & (clients["status"] == "success")]
    assert list(counted.groupby("server_round").size()) == [3, 3]
    assert "closed by majority" in project.python(LABEL.format("majority"))


PLATFORM = """
from experiments.config.backends import BACKENDS
from experiments.config.compose import compose_cells
from serverless.platforms.registry import platforms

assert "here" in platforms() and "here" in BACKENDS
(cell,) = compose_cells(["+exp=smoke", "platform=here", "backends=[here]", "platform.latency_s=0.5"])
assert BACKENDS["here"].settings(cell.config, cell.out).platform.latency_s == 0.5
"""


@chapter("A platform")
def test_a_platform(extended):
    extended[0].python(PLATFORM)


@pytest.mark.training
@chapter("A platform")
def test_a_platform_runs_functions(with_images):
    project, chapter = with_images
    project.follow(chapter)
    runs, calls = project.table("smoke", "runs"), project.table("smoke", "invocations")
    assert set(runs["backend"]) == {"inprocess", "here"}
    assert runs["final_weights_sha256"].nunique() == 1
    assert set(runs["status"]) == {"success"}
    assert set(calls[calls["run_id"].str.startswith("here")]["platform"]) == {"here"}


KPI = """
from pathlib import Path
from metrics.analysis.comparisons.paired_tests import COMPARED
from metrics.analysis.kpis import per_run, per_system
from metrics.collect.tables import load
from metrics.report.system_tables import side_by_side

tables = load(Path("results/quickstart"))
runs = per_run(tables)
longest = tables["rounds"].groupby("run_id")["round_s"].max()
assert len(runs) == 3 and list(runs["longest_round_s"]) == list(longest[runs["run_id"]])
_, rounds, *_ = side_by_side(per_system(runs)).sections
assert [row[0] for row in rounds[:3]] == ["first round", "longest round", "later rounds, median"]
assert "longest_round_s" in [kpi.column for kpi in COMPARED]
"""


@chapter("A KPI")
def test_a_kpi(with_results):
    project, chapter = with_results
    project.python(KPI)
    project.follow(chapter)
    shown = pd.read_csv(project.folder / "results/quickstart/figures/kpis.csv")
    assert len(shown[shown["kpi"] == "longest_round_s"]) == 3


@chapter("A figure")
def test_a_figure(with_results):
    project, chapter = with_results
    project.follow(chapter)
    figures = project.folder / "results/quickstart/figures"
    assert (figures / "loss.png").read_bytes().startswith(b"\x89PNG")
    shown = pd.read_csv(figures / "loss.csv")
    assert set(shown["system"].str.split().str[0]) == {"inprocess", "flower", "openwhisk"}
    assert list(shown[shown["backend"] == "flower"]["test_loss"]) == [1.0, 0.5, pytest.approx(1 / 3)]
