"""A folder that cannot be written and a file that is damaged cost one line that names them, never a traceback."""

import errno
import os
import shutil
import subprocess
import sys

import pytest

from experiments.config.compose import compose_cells
from experiments.config.schema import CONFIGS
from experiments.figures import main as figures
from experiments.reprice import main as reprice
from experiments.run import main as run
from experiments.runs import sweep_file
from experiments.runs.run_files import Outcome, RunFile
from experiments.status import main as status
from machine import files
from machine.files import DamagedFileError
from metrics.collect.tables import collect, load

pytestmark = pytest.mark.slow

DAMAGE = [b"", b"{", b"[]", b"7", b'{"other": 1}', b"\xff", b'{"job": {}}']


@pytest.fixture
def full_disk(monkeypatch):
    """From the call on no file can be written whole; like the system, without a name."""

    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return lambda: monkeypatch.setattr(files.os, "fsync", fail)


def refused(capsys, path):
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert f"out={path}: " in said
    assert "No space left on device" in said
    return said


def test_a_price_that_cannot_be_written_leaves_the_tables_as_they_were(make_experiment, full_disk, capsys):
    folder = make_experiment()
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    full_disk()
    assert reprice([str(folder), "pricing=aws_lambda_x86"]) == 2
    assert "cost.parquet" in refused(capsys, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_tables_are_written_whole_or_not_at_all(make_experiment, full_disk):
    folder = make_experiment()
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    full_disk()
    with pytest.raises(OSError, match=r"runs\.parquet"):
        collect(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    load(folder)


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path, full_disk, capsys):
    full_disk()
    assert run(["+exp=smoke", f"out={tmp_path}", "figures=false"]) == 2
    assert "sweep.json" in refused(capsys, tmp_path)


READ_ONLY = """
set -e
mount -t tmpfs none "$1"; cp -r "$2"/. "$1"; mount -o remount,ro "$1"
shift 2
exec "$@"
"""


@pytest.mark.parametrize(
    "words",
    [
        ["experiments.figures", "{folder}", "figure=accuracy"],
        ["experiments.reprice", "{folder}", "pricing=aws_lambda_x86"],
        pytest.param(["experiments.run", "+exp=smoke", "out={folder}"], marks=pytest.mark.training),
    ],
)
def test_a_folder_on_a_read_only_file_system(words, make_experiment, tmp_path):
    """In a mount namespace of its own, as root cannot be kept from writing otherwise."""
    inside = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*inside, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this sandbox allows no mount")
    folder = tmp_path / "read-only"
    folder.mkdir()
    shutil.rmtree(make_experiment() / "figures", ignore_errors=True)
    words = [word.format(folder=folder) for word in words]
    command = [*inside, "sh", "-c", READ_ONLY, "sh", folder, tmp_path / "invented", sys.executable, "-m", *words]
    environment = os.environ | {"PYTHONPATH": str(CONFIGS.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: out={folder}: {folder}")
    assert "Read-only file system" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_of_a_run_is_named_with_what_to_do(tmp_path, damage):
    for name, read in (("run.json", RunFile.read), ("outcome.json", Outcome.read)):
        (tmp_path / name).write_bytes(damage)
        with pytest.raises(DamagedFileError, match=rf"{name} is damaged \(.*\): .* is lost; "):
            read(tmp_path)


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_status_of_a_damaged_plan_is_told_in_a_line(tmp_path, damage, capsys):
    (tmp_path / sweep_file._FILE).write_bytes(damage)
    assert status([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path}/sweep.json is damaged")
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", [figures, lambda words: reprice([*words, "pricing=aws_lambda_x86"])])
def test_a_table_of_no_bytes_is_named(make_experiment, command, capsys):
    folder = make_experiment()
    (folder / "rounds.parquet").write_bytes(b"")
    assert command([str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {folder}/rounds.parquet is no table")
    assert said.count("\n") == 1


@pytest.mark.training
def test_a_run_that_finds_the_disk_full_fails_alone(tmp_path, monkeypatch, fake_command, mnist_settings):
    from io import StringIO

    from rich.console import Console

    from experiments.runs import cell as module
    from experiments.runs.cell import run_cell

    write = module.RunFile.write

    def full_for_a_while(self, directory):
        if self.job.seed == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory / "run.json"))
        write(self, directory)

    monkeypatch.setattr(module.RunFile, "write", full_for_a_while)
    words = [
        "+exp=smoke",
        "seeds=[0,1]",
        "model=mlp50",
        f"out={tmp_path / 'out'}",
        f"data.cache={mnist_settings.cache}",
    ]
    (cell,) = compose_cells(words)
    text = StringIO()
    result = run_cell(cell, Console(file=text, width=200), fake_command("success"))
    (line,) = result.errors
    assert line.startswith(f"inprocess seed 0: out={tmp_path / 'out'}: ")
    assert "run.json: No space left on device" in line
    assert line in text.getvalue()
    assert [row.seed for row in result.rows.values()] == [1]
    assert list(load(tmp_path / "out")["runs"].seed) == [1]


NO_SHM = """
set -e
mount -t tmpfs -o "$1" none /dev/shm
shift
exec "$@"
"""


@pytest.mark.training
@pytest.mark.parametrize(
    ("options", "said"),
    [("ro", "/dev/shm cannot be written"), ("size=4k", "/dev/shm has only 4 KiB free")],
)
def test_a_machine_without_shared_memory_is_told_what_is_missing(options, said, tmp_path):
    inside = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*inside, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this sandbox allows no mount")
    words = [sys.executable, "-m", "experiments.run", "+exp=smoke", f"out={tmp_path / 'out'}"]
    command = [*inside, "sh", "-c", NO_SHM, "sh", options, *words]
    environment = os.environ | {"PYTHONPATH": str(CONFIGS.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr
    assert "--shm-size" in done.stderr
    assert not (tmp_path / "out").exists()
