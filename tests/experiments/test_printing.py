"""A command whose output is full, closed or of another alphabet does its work, and says that not all was seen."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from experiments.printing import say

SCRIPT = """
import sys
from rich.console import Console
from experiments.printing import guarded

def main():
    console = Console(highlight=False)
    for number in range(3):
        console.print("3 × 4 ≤ 12 ✓ naïve w😀", soft_wrap=True)
    open(sys.argv[1], "w").write("worked")
    return 0

sys.exit(guarded(main))
"""


def command(path):
    return [sys.executable, "-c", SCRIPT, str(path)]


@pytest.mark.parametrize("buffered", ["", "1"])
def test_the_work_goes_on_where_the_output_is_full(tmp_path, buffered):
    with Path("/dev/full").open("w") as full:
        environment = os.environ | {"PYTHONUNBUFFERED": buffered}
        done = subprocess.run(
            command(tmp_path / "w"), stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )
    assert done.returncode == 1
    assert done.stderr == (
        "error: not all could be printed: No space left on device; what was written to files is whole\n"
    )
    assert (tmp_path / "w").read_text() == "worked"


def test_the_work_goes_on_where_the_output_is_closed(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command(tmp_path / "w"), stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Broken pipe" in done.stderr
    assert (tmp_path / "w").read_text() == "worked"


def test_nowhere_at_all_can_be_printed_to(tmp_path):
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command(tmp_path / "w"), stdout=full, stderr=full, check=False).returncode == 1
    assert (tmp_path / "w").read_text() == "worked"


@pytest.mark.parametrize(
    ("encoding", "line"), [("ascii", "3 x 4 <= 12 + naive w?"), ("utf-8", "3 × 4 ≤ 12 ✓ naïve w😀")]
)
def test_signs_that_the_terminal_does_not_have_are_replaced(tmp_path, encoding, line):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command(tmp_path / "w"), capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding).splitlines() == [line] * 3


@pytest.mark.parametrize(("terminal", "lines"), [(True, 3), (False, 1)])
def test_a_message_is_broken_between_words_on_a_terminal_and_nowhere_else(terminal, lines):
    path = "/" + 9 * "a_long_folder/"
    text = (
        f"Ray did not start within 30 s, which is a limit of its own: run it again with flower=deployment, see {path}"
    )
    console = Console(file=io.StringIO(), width=80, force_terminal=terminal)
    say(console, text, "bold")
    printed = console.file.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert [line.strip() for line in printed][-1].endswith(path)
    assert " ".join(line.strip() for line in printed) == text
    assert len(printed) == lines
