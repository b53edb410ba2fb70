"""What stands in the terminal and in the report when an experiment has ended."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from metrics.analysis.comparisons.paired_tests import differences
from metrics.analysis.kpis import per_run
from metrics.collect.row_files import append, read_run
from metrics.collect.row_types import RunRow
from metrics.collect.tables import collect, load
from metrics.report import report
from metrics.report.difference_tables import paired_tests
from metrics.report.findings import find
from metrics.report.report import finish, show

pytestmark = pytest.mark.slow

Makers = dict[str, Callable[..., Any]]
Experiment = Callable[..., Path]


def printed(folder: Path, width: int = 120) -> str:
    """Return the comparison as it is printed, without figures and report."""
    text = io.StringIO()
    show(find(load(folder)), Console(width=width, file=text))
    return text.getvalue()


def finished(folder: Path, command: str | None = None, *, figures: bool = False) -> str:
    """Return all that is printed at the end of an experiment; its figures take seconds, so few tests draw them."""
    text = io.StringIO()
    finish(folder, Console(width=120, file=text), command, figures=figures)
    return text.getvalue()


def row_of(text: str, title: str) -> list[str]:
    """Return the values of a row, columns being at least two spaces apart."""
    (line,) = [line for line in text.splitlines() if line.strip().startswith(f"{title} ")]
    return re.split(r"\s{2,}", line.strip())[1:]


def change_run(folder: Path, run_id: str, **changes: Any) -> None:
    directory = folder / "runs" / run_id
    row = RunRow(**read_run(directory, "runs").to_pylist()[0])
    (directory / "runs.jsonl").unlink()
    append(directory, replace(row, **changes))
    collect(folder)


def test_the_systems_stand_side_by_side(make_experiment: Experiment) -> None:
    text = printed(make_experiment(rounds=3))
    assert row_of(text, "best accuracy") == ["0.7833"] * 3
    assert row_of(text, "first round") == ["6.35 s", "10.3 s", "6.75 s"]
    assert row_of(text, "later rounds, median") == ["3.35 s", "4.35 s", "3.45 s"]
    assert row_of(text, "train") == ["2.00 s", "60%", "2.00 s", "46%", "2.00 s", "58%"]
    assert row_of(text, "platform") == ["0 s", "0%", "1.00 s", "23%", "0.10 s", "3%"]
    assert row_of(text, "over inprocess") == ["1.00×", "1.30×", "1.03×"]
    assert row_of(text, "peak memory") == ["900 MiB"] * 3
    assert "identical weights on inprocess, flower and openwhisk (emulated) after each of 3 rounds" in text
    assert row_of(text, "set-up + first round") == ["11.3 s", "15.3 s", "11.8 s"]
    assert "below n = 6 no 95 % interval" in text
    assert "Emulated: functions ran on the embedded server" in text


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut_or_folded_inside_a_word(make_experiment: Experiment, width: int) -> None:
    text = printed(make_experiment(rounds=2), width)
    table = text[: text.index("seed 0:")]
    assert all(len(line) <= width for line in table.splitlines())
    assert "…" not in text
    for title in ("later rounds, median", "move weights", "openwhisk (emulated)", "failed attempts"):
        assert title in text


def test_intervals_fit_into_80_columns(make_experiment: Experiment) -> None:
    text = printed(make_experiment(seeds=range(6), rounds=3, target_accuracy=0.99), 80)
    table = text[: text.index("identical weights")]
    assert all(len(line) <= 80 for line in table.splitlines())
    assert table.count(" [3.35–3.40 s] ") == 1  # an interval stays in one piece
    assert "> 3" in table
    assert "in brackets, the exact interval" in re.sub(r"\s+", " ", text)


def test_differences_are_tested_from_six_pairs_on_and_not_before(make_experiment: Experiment) -> None:
    folder = make_experiment(seeds=range(6), rounds=3)
    text = finished(folder)
    assert "Differences, paired by seed" in text
    assert re.search(r"flower over inprocess +first round +6 +1\.6[0-9]× \[1\.6.*\] +0\.656", text)
    assert "none can be below 0.66" in " ".join(text.split())
    assert "n too small" not in text
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "### Differences, paired by seed" in report
    assert re.search(r"\| flower over inprocess \| first round \| 6 \| 1\.6", report)
    few = per_run(load(folder)).query("seed < 5")
    table, (line,) = paired_tests(differences(few))
    assert table is None
    assert line == "Differences between systems: n too small for a test (5 paired by seed, 6 needed)."


def test_without_a_terminal_nothing_but_text_is_written(make_experiment: Experiment) -> None:
    assert "\x1b" not in finished(make_experiment())


def test_different_weights_are_told_loudly(make_experiment: Experiment) -> None:
    folder = make_experiment(rounds=3)
    path = folder / "runs" / "flower-0" / "rounds.jsonl"
    lines = path.read_text().splitlines()
    lines[1] = re.sub(r'"weights_sha256": "\w+"', f'"weights_sha256": "{"f" * 64}"', lines[1])
    path.write_text("\n".join(lines) + "\n")
    collect(folder)
    assert "weights DIFFER from round 2 on" in finished(folder)
    assert "weights DIFFER from round 2 on" in (folder / "report.md").read_text()


def test_runs_that_did_not_finish_are_shown_with_the_first_line_of_their_error(make_experiment: Experiment) -> None:
    folder = make_experiment(rounds=3)
    change_run(folder, "flower-0", status="failed", error="Ray died [OOM]\nTraceback ...", rounds=1)
    change_run(folder, "openwhisk-0", status="interrupted", error=None, rounds=2)
    text = printed(folder)
    assert "flower seed 0 failed after 1 of 3 rounds: Ray died [OOM] (run flower-0)" in text
    assert "openwhisk (emulated) seed 0 interrupted after 2 of 3 rounds (run openwhisk-0)" in text
    assert "Traceback" not in text
    assert row_of(text, "runs (n)") == ["1", "0, 1 unfinished", "0, 1 unfinished"]
    assert row_of(text, "first round") == ["6.35 s", "–", "–"]


def test_if_every_run_failed_the_report_still_says_so(make_experiment: Experiment, row_makers: Makers) -> None:
    folder = make_experiment(rounds=1)
    for backend in ("inprocess", "flower", "openwhisk"):
        (folder / "runs" / f"{backend}-0" / "rounds.jsonl").unlink()
        (folder / "runs" / f"{backend}-0" / "invocations.jsonl").unlink()
        change_run(folder, f"{backend}-0", status="failed", error="no data", rounds=0, best_test_accuracy=None)
    text = finished(folder, figures=True)
    assert text.count("failed after 0 of 1 rounds: no data") == 3
    assert "nothing can be drawn" in text
    assert "failed after 0 of 1 rounds" in (folder / "report.md").read_text()


def test_no_run_at_all_is_said_in_one_line(tmp_path: Path) -> None:
    collect(tmp_path)
    assert "there is nothing to compare" in " ".join(finished(tmp_path).split())  # a long path breaks the line
    assert not (tmp_path / "report.md").exists()


def test_many_cells_get_a_row_each(make_experiment: Experiment, row_makers: Makers) -> None:
    folder = make_experiment(rounds=2)
    for place, chosen in enumerate((3, 12)):
        directory = folder / "runs" / f"more-{place}"
        directory.mkdir()
        rounds = [row_makers["rounds"](directory.name, number, train_s=float(chosen)) for number in (1, 2)]
        append(directory, row_makers["runs"](directory.name, rounds, clients_per_round=chosen))
        append(directory, *rounds)
    collect(folder)
    text = printed(folder, 100)
    assert [line.split()[0] for line in text.splitlines() if line.endswith(" a round")] == ["3", "10", "12"]
    assert re.search(r"12 a round\ninprocess +1 +0\.7000 +– +13\.1 s +1\.00×", text)


def test_the_report_holds_what_is_needed_to_judge_and_repeat(make_experiment: Experiment) -> None:
    folder = make_experiment(rounds=3, dirty=True, cgroup_cpu_cores=1.5)
    text = finished(folder, command="python -m experiments.run +exp=quickstart", figures=True)
    assert "\x1b" not in text
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "| later rounds, median | 3.35 s | 4.35 s | 3.45 s |" in report
    assert "```sh\npython -m experiments.run +exp=quickstart\n```" in report
    assert "An invented CPU, 2 cores, 8.00 GiB, Linux; its control group allows 1.5 cores." in report
    assert "commit 0123456789abcdef with uncommitted changes; Python 3.11.9" in report
    assert "tensorflow 2.21.0" in report
    assert "below n = 6 no 95 % interval" in report
    assert "| openwhisk-0 | openwhisk | embedded | yes | success | 3 |" in report
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", report)
    assert "figures/accuracy.png" in pictures
    assert "figures/time_per_round.png" in pictures
    assert all((folder / picture).is_file() for picture in pictures)
    assert str(folder / "report.html") in text


def test_every_table_of_the_report_has_as_many_cells_in_each_row(make_experiment: Experiment) -> None:
    folder = make_experiment(rounds=2)
    finished(folder)
    blocks = re.findall(r"(?:^\|.*\n)+", (folder / "report.md").read_text(), flags=re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_tables_that_were_not_collected_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no runs\.parquet"):
        finished(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("failing", ["show", "_draw", "_show_files"])
def test_a_step_that_fails_is_returned_and_the_others_are_made(failing, make_experiment, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    folder = make_experiment()
    monkeypatch.setattr(report, failing, fail)
    (error,) = report.finish(folder, Console(file=io.StringIO()))
    assert isinstance(error, OSError)
    assert (folder / "report.md").exists()
    assert (folder / "report.html").exists()
    assert (folder / "figures").exists() == (failing != "_draw")


@pytest.mark.slow
def test_a_report_that_cannot_be_written_costs_no_figure(make_experiment):
    folder = make_experiment()
    (folder / "report.html").mkdir()
    text = io.StringIO()
    (error,) = report.finish(folder, Console(file=text, width=200))
    assert error.filename == str(folder / "report.html")
    assert (folder / "figures" / "accuracy.png").exists()
    assert "accuracy" in text.getvalue()
