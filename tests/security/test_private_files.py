"""What a run writes is the user's alone, whatever the user's umask is."""

import os
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from machine.files import private


def open_to_others(*folders):
    """Return what the group or others may use, links aside: their rights mean nothing."""
    found = (path for folder in folders for path in [folder, *folder.rglob("*")])
    return [path for path in found if not path.is_symlink() and path.lstat().st_mode & 0o077]


def test_files_folders_and_children_are_private_and_afterwards_all_is_as_before(tmp_path):
    before = os.umask(0o022)
    try:
        with private():
            (tmp_path / "inside").mkdir()
            (tmp_path / "inside" / "file").touch()
            subprocess.run([sys.executable, "-c", "open('child', 'w')"], cwd=tmp_path / "inside", check=True)
        (tmp_path / "after").touch()
    finally:
        assert os.umask(before) == 0o022
    assert open_to_others(tmp_path / "inside") == []
    assert stat.S_IMODE((tmp_path / "after").stat().st_mode) == 0o644


@pytest.mark.server
@pytest.mark.training
@pytest.mark.parametrize("backend", ["openwhisk", "openfaas", "google"])
def test_a_run_leaves_nothing_to_the_group_and_to_others(tmp_path, mnist_settings, backend):
    """The results' folder, logs, tables, register and store; TMPDIR has the containers' folders while it goes on."""
    (tmp_path / "tmp").mkdir(mode=0o700)
    words = [f"backends=[{backend}]", f"platform={backend}", "model=mlp50", "rounds=1", f"out={tmp_path / 'results'}"]
    command = [sys.executable, "-m", "experiments.run", "+exp=smoke", *words, f"data.cache={mnist_settings.cache}"]
    started = subprocess.Popen(
        command,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        stdout=(tmp_path / "said").open("wb"),
        stderr=subprocess.STDOUT,
        umask=0o000,
    )
    met, looks = set(), 0
    while started.poll() is None:
        looks += 1
        for folder in (tmp_path / "results", tmp_path / "tmp"):
            for place, folders, files in os.walk(folder):  # what is gone when it is looked at does not matter
                for path in (Path(place, name) for name in [".", *folders, *files]):
                    with suppress(OSError):
                        met |= {path} if not path.is_symlink() and path.lstat().st_mode & 0o077 else set()
        time.sleep(0.05)
    assert started.returncode == 0, (tmp_path / "said").read_text()
    assert looks > 20
    assert {path.relative_to(tmp_path) for path in met} == set()
    assert list((tmp_path / "results").rglob("rounds.parquet"))
    assert open_to_others(tmp_path / "results") == []
