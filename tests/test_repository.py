"""What a visitor of the repository relies on: links, numbers, commands, folders, the licence and the citation."""

import hashlib
import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "results/README.md"])
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
SHA256_OF_APACHE_2 = (
    "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"  # apache.org/licenses/LICENSE-2.0.txt
)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def text(page):
    return page.read_text(encoding="utf-8")


def prose(page):
    """A page without its blocks of code, in which brackets and hashes mean something else."""
    return _FENCE.sub("", text(page))


def anchors(page):
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def links(page):
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if "://" not in target]


def table_of(page, first_cell):
    """The rows of the table whose first heading is this, as lists of cells."""
    lines = text(page).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_cell}"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[:1] + rows[2:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    code = "\n".join(re.findall(r"```(?:sh|bash)\n.*?```|`[^`\n]+`", text(page), re.DOTALL))
    asked = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", code, re.MULTILINE))
    assert asked <= targets
    modules = set(re.findall(r"python -m ((?:" + "|".join(PACKAGES) + r")[\w.]*)", code))
    paths = [ROOT / module.replace(".", "/") for module in modules]
    assert all(path.with_suffix(".py").exists() or (path / "__main__.py").exists() for path in paths), modules


def test_the_readme_is_short():
    assert len(text(README).splitlines()) <= 150


def test_the_folder_table_is_complete():
    folders = [re.search(r"\(([^)]+)\)", row[0]).group(1) for row in table_of(README, "folder")[1:]]
    assert all((ROOT / folder).is_dir() for folder in folders)
    assert set(PACKAGES) <= set(folders)


def test_architecture_names_files_that_exist():
    page = ROOT / "docs/architecture.md"
    named = {name for name in re.findall(r"`([\w/<>]+\.py)`", text(page)) if "/" in name}
    assert len(named) > 20
    missing = [name for name in named if not list(ROOT.glob(name.replace("<name>", "openwhisk")))]
    assert not missing
    flower = {name for name in re.findall(r"`(\w+\.py)`", text(page)) if name != "tables.py"}
    assert [name for name in flower if not (ROOT / "baselines/flower" / name).exists()] == []
    assert all(f"<b>{package}</b>" in text(page) for package in PACKAGES)


@pytest.mark.parametrize("page", [ROOT / "docs/desk.md", ROOT / "docs/security.md"], ids=lambda page: page.name)
def test_each_test_that_a_page_names_is_there(page):
    named = re.findall(r"`([\w/]*test_\w+\.py)(?:::(test_\w+))?`", text(page))
    assert len(named) > 10
    files = [(path.relative_to(ROOT).as_posix(), text(path)) for path in ROOT.glob("tests/**/test_*.py")]
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not any(f"/{path}".endswith(f"/{file}") and f"def {test}" in content for path, content in files)
    ]
    assert missing == []


@pytest.mark.parametrize("package", ["metrics", "serverless"])
def test_the_drawing_shows_the_order_that_import_linter_checks(package):
    contracts = tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in contracts if one.get("layers", [""])[0].startswith(f"{package}."))
    (drawn,) = re.findall(rf'^ *{package}\["(.*)"\]$', text(ROOT / "docs/architecture.md"), re.MULTILINE)
    names = [name.removeprefix(f"{package}.") for layer in layers for name in layer.split(" | ")]
    assert re.findall(r"<i>(\w+)</i>", drawn) == names


def recomputed():
    """The README's figures, by row and backend, from the tables of the demo."""
    tables = {
        name: pd.read_parquet(ROOT / f"results/evidence/quickstart/{name}.parquet")
        for name in ("runs", "rounds", "cost")
    }
    found = {}
    for run in tables["runs"].to_dict("records"):
        rounds = tables["rounds"].query("run_id == @run['run_id']").sort_values("server_round")
        first, later = rounds.iloc[0], rounds.iloc[1:]
        bill = tables["cost"].query("run_id == @run['run_id'] and server_round > 0")
        bill = bill[bill["policy"].isna() | (bill["policy"] == "per_client")]
        found[run["backend"]] = {
            "test accuracy after 3 rounds": rounds["test_accuracy"].iloc[2],
            "SHA-256 of the final weights begins with": run["final_weights_sha256"],
            "first round": first["round_s"],
            "later rounds, median": later["round_s"].median(),
            "set-up and first round together": run["setup_s"] + first["round_s"],
            "CPU time, whole run": run["cpu_s"],
            "peak memory": run["peak_memory_bytes"] / 2**30,
            "modelled price of a round": bill["usd"].sum() / len(rounds),
            "of it": first["cold_start_s"],
            "whole run": run["wall_s"],
        }
    return found


def test_the_readmes_table_is_that_of_the_demos_tables():
    heading, *rows = table_of(README, "`make demo`")
    backends = [re.search(r"`(\w+)`", cell).group(1) for cell in heading[1:]]
    expected = recomputed()
    assert backends == ["inprocess", "flower", "openwhisk"]
    assert {row[0] for row in rows} == set(expected["flower"]) - {"of it", "whole run"}
    for name, *cells in rows:
        for backend, cell in zip(backends, cells, strict=True):
            value = expected[backend][name]
            if isinstance(value, str):
                assert value.startswith(cell)
            else:
                assert is_rounded(cell, value), (name, backend, value)


def is_rounded(cell, value):
    """Whether the number in a cell is this value, to the digits that the cell has."""
    number = re.search(r"\d+\.(\d+)", cell)
    return abs(float(number.group()) - value) <= 0.5 * 10 ** -len(number.group(1)) + 1e-12


def test_the_readmes_sentences_agree_with_the_tables():
    said, expected = " ".join(text(README).split()), recomputed()
    share = expected["flower"]["later rounds, median"] / expected["inprocess"]["later rounds, median"]
    assert re.search(r"simulation takes (\d+) % longer", said).group(1) == f"{(share - 1) * 100:.0f}"
    assert is_rounded(re.search(r"first round \(([\d.]+ s) of it\)", said).group(1), expected["openwhisk"]["of it"])
    assert "take half a minute" in said
    assert 25 < sum(one["whole run"] for one in expected.values()) < 35
    ratios = [mean_round("fig4_" + name, "flower") / mean_round("fig4_" + name, "openwhisk") for name in FIG4]
    lowest, highest = re.search(r"mean round is (\d+) to (\d+) % longer", said).groups()
    assert (lowest, highest) == (f"{(min(ratios) - 1) * 100:.0f}", f"{(max(ratios) - 1) * 100:.0f}")


FIG4 = ("nn_e5", "nn_e10", "cnn_e5")


def mean_round(experiment, backend):
    folder = ROOT / "results/evidence" / experiment
    rounds = pd.read_parquet(folder / "rounds.parquet").merge(pd.read_parquet(folder / "runs.parquet"), on="run_id")
    assert (rounds.groupby("run_id")["test_accuracy"].max() >= 0.95).all()
    return rounds.loc[rounds["backend"] == backend, "round_s"].mean()


def test_the_licence_is_apache_2():
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == SHA256_OF_APACHE_2


def test_the_citation_is_complete_and_of_this_version():
    citation = yaml.safe_load(text(ROOT / "CITATION.cff"))
    project = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]
    assert {"cff-version", "message", "title", "authors", "type"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert all(author.get("name") or author.get("family-names") for author in citation["authors"])
    assert (citation["title"], citation["version"]) == (project["name"], project["version"])
    assert citation["license"] == project["license"]


def test_every_package_says_that_it_is_typed():
    assert len(PACKAGES) >= 5
    assert [package for package in PACKAGES if not (ROOT / package / "py.typed").exists()] == []
    data = tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["setuptools"]["package-data"]
    assert "py.typed" in data["*"]


def test_the_workflow_and_the_commit_hooks_call_what_exists():
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    jobs = yaml.safe_load(text(ROOT / ".github/workflows/tests.yml"))["jobs"].values()
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    hooks = yaml.safe_load(text(ROOT / ".pre-commit-config.yaml"))["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    commands += [hook["entry"] for hook in hooks[0]["hooks"] if hook["entry"].startswith("make")]
    assert len(commands) >= 4
    assert {command.split()[1] for command in commands} <= targets
