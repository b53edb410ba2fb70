"""What is added up over the parts of a run, and when it must not go on."""

from dataclasses import asdict, replace

import pytest

from experiments.config.compose import compose_cells
from experiments.runs.results_folder import arrange, finished_row
from experiments.runs.resume import add_up, last_whole_round, obstacle, reopen
from experiments.runs.run_files import Identity, Outcome, RunFile
from experiments.runs.run_row import judge
from metrics.collect.provenance import Provenance, collect_provenance
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import append, read_run


@pytest.fixture
def row(row_makers):
    """The row of a part that took whole numbers of seconds."""
    return row_makers["runs"]("r", [row_makers["rounds"]("r", 1)], setup_s=5.0, wall_s=60.0, cpu_s=50.0)


def test_the_first_part_stands_for_itself(row):
    assert add_up(row, None) is row


def test_times_and_cpu_seconds_add_up_and_the_start_is_the_first(row):
    once = add_up(row, replace(row, started_at=100.0, cpu_s=7.0, peak_total_rss_bytes=1))
    twice = add_up(row, once)
    assert (once.resumes, twice.resumes) == (1, 2)
    assert (once.setup_s, once.wall_s, once.cpu_s) == (10.0, 120.0, 57.0)
    assert (twice.setup_s, twice.wall_s, twice.cpu_s, twice.started_at) == (15.0, 180.0, 107.0, 100.0)
    assert once.peak_total_rss_bytes == row.peak_total_rss_bytes


def test_what_is_not_known_of_one_part_is_not_known_of_the_run(row):
    assert add_up(row, replace(row, cpu_s=None)).cpu_s is None
    assert add_up(replace(row, cpu_s=None), row).cpu_s is None
    assert add_up(replace(row, peak_total_rss_bytes=None), row).peak_total_rss_bytes == row.peak_total_rss_bytes


@pytest.mark.parametrize(
    ("first", "then", "is_dirty"),
    [
        (("a", False), ("a", False), False),
        (("a", False), ("b", False), True),
        (("a", True), ("a", False), True),
        (("a", None), ("a", False), None),
    ],
)
def test_the_commit_is_the_first_parts_and_other_code_later_is_dirty(row, first, then, is_dirty):
    (commit, dirty), (later, later_dirty) = first, then
    whole = add_up(replace(row, commit=later, dirty=later_dirty), replace(row, commit=commit, dirty=dirty))
    assert (whole.commit, whole.dirty) == (commit, is_dirty)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, None),
        ({"commit": "other", "dirty": True}, None),
        ({"cpu_model": "another"}, "cpu_model"),
        ({"packages": "{}"}, "packages"),
        ({"partition_sha256": "0" * 64}, "partition_sha256"),
    ],
)
def test_a_run_goes_on_only_where_its_rounds_stay_of_one_kind(row, changes, found):
    identity = Identity(**{name: getattr(row, name) for name in Identity.__annotations__})
    provenance = Provenance(**{name: getattr(row, name) for name in Provenance.__annotations__})
    assert obstacle(replace(row, **changes), identity, provenance) == found


@pytest.fixture
def cut_off(smoke_plan, row_makers, tmp_path):
    """The folder of a run that was killed together with its command after two rounds, and its file."""
    directory = smoke_plan.directory
    directory.mkdir(parents=True)
    run = RunFile.of(smoke_plan, Identity("d", "e", "f"), collect_provenance(tmp_path), "nowhere")
    run = replace(run, started_at=1000.0)
    run.write(directory)
    recorder = Recorder(run.run_id, directory)
    for number in (1, 2):
        recorder.checkpoint(number, b"weights", {})
        recorder.round(row_makers["rounds"](run.run_id, number), [row_makers["invocations"](run.run_id, number, 0)])
    recorder.invocations([row_makers["invocations"](run.run_id, 3, 0)])
    (cell,) = compose_cells(["+exp=smoke"])
    arrange(smoke_plan.directory.parent.parent, cell.config)
    return directory, run


def test_a_run_that_goes_on_has_one_row_over_all_its_parts(cut_off, row_makers):
    directory, run = cut_off
    first = finished_row(directory)
    assert (first.status, first.resumes, last_whole_round(directory, first)) == ("interrupted", 0, 2)
    Outcome("failed", "the disk is full").write(directory)

    reopen(directory, replace(run, started_at=5000.0, part=1))
    assert finished_row(directory) is None
    assert Outcome.read(directory) is None
    assert [row["status"] for row in read_run(directory, "invocations").to_pylist()] == ["success"] * 2 + ["discarded"]

    recorder = Recorder(run.run_id, directory, part=1)
    recorder.round(row_makers["rounds"](run.run_id, 3, started_at=5003.0), [])
    Outcome("success", final_weights_sha256="a" * 64).write(directory)
    whole = judge(directory, None)
    assert (whole.status, whole.rounds, whole.resumes, whole.started_at) == ("success", 3, 1, 1000.0)
    assert whole.setup_s == pytest.approx(first.setup_s + 3.0)
    assert whole.learning_s == pytest.approx(3 * 3.05)
    assert [row["part"] for row in read_run(directory, "rounds").to_pylist()] == [0, 0, 1]


def test_a_kill_while_the_folder_is_made_ready_changes_nothing(cut_off, monkeypatch):
    directory, run = cut_off
    first = finished_row(directory)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            reopen(directory, replace(run, part=1))
    assert asdict(finished_row(directory)) == asdict(first)
    assert last_whole_round(directory, first) == 2
    reopen(directory, replace(run, part=1))
    assert judge(directory, None).resumes == 1


def test_a_run_that_succeeded_or_has_no_checkpoint_does_not_go_on(row, tmp_path, row_makers):
    append(tmp_path, row_makers["rounds"]("r", 1))
    assert last_whole_round(tmp_path, replace(row, status="failed")) is None
    Recorder("r", tmp_path).checkpoint(1, b"weights", {})
    assert last_whole_round(tmp_path, replace(row, status="failed")) == 1
    assert last_whole_round(tmp_path, row) is None
