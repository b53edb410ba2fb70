"""The recorder's hand-shake with a watcher over a real socket."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metrics.collect.recorder import Recorder, WatcherGone
from metrics.collect.row_files import read_run

Makers = dict[str, Callable[..., Any]]


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A listening Unix socket; its path is short, because the kernel takes 107 bytes."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.settimeout(10)
        listener.bind(str(Path(folder) / "watch.sock"))
        listener.listen()
        yield listener


def accept(server: socket.socket) -> tuple[socket.socket, dict[str, Any]]:
    connection, _ = server.accept()
    with connection.makefile("rb") as stream:
        return connection, json.loads(stream.readline())


def test_rows_are_on_disk_before_the_watcher_hears_and_the_run_waits(
    server: socket.socket, tmp_path: Path, row_makers: Makers
) -> None:
    recorder = Recorder("r", tmp_path, server.getsockname())
    calls = [row_makers["invocations"]("r", 1, client) for client in range(3)]
    finished = threading.Event()

    def run() -> None:
        recorder.round(row_makers["rounds"]("r", 1), calls)
        finished.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    connection, event = accept(server)
    with connection:
        assert (event["event"], event["run_id"], event["server_round"]) == ("round", "r", 1)
        assert read_run(tmp_path, "rounds").num_rows == 1
        assert read_run(tmp_path, "invocations").num_rows == 3
        assert not finished.wait(0.2), "the run went on while the watcher was still drawing"
        connection.sendall(b"\n")
        assert finished.wait(10)
    thread.join(10)


def test_set_up_steps_are_announced_and_timed_also_when_they_fail(server: socket.socket, tmp_path: Path) -> None:
    heard = []

    def watch() -> None:
        for _ in range(2):
            connection, event = accept(server)
            with connection:
                heard.append(event["step"])
                connection.sendall(b"\n")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    recorder = Recorder("r", tmp_path, server.getsockname())
    with recorder.setup("start the platform"):
        pass
    with pytest.raises(OSError, match="no space"), recorder.setup("upload the data"):
        raise OSError("no space")
    thread.join(10)
    assert heard == ["start the platform", "upload the data"]
    steps = [json.loads(line) for line in (tmp_path / "setup.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps] == heard
    assert all(0 <= step["seconds"] < 10 for step in steps)


def test_a_watcher_that_is_gone_ends_the_run_but_not_the_row(
    server: socket.socket, tmp_path: Path, row_makers: Makers
) -> None:
    path = server.getsockname()
    server.close()
    with pytest.raises(WatcherGone, match="is gone"):
        Recorder("r", tmp_path, path).round(row_makers["rounds"]("r", 1), [])
    assert read_run(tmp_path, "rounds").num_rows == 1


def test_a_watcher_that_dies_while_it_draws_ends_the_run(
    server: socket.socket, tmp_path: Path, row_makers: Makers
) -> None:
    def hear_and_die() -> None:
        connection, _ = accept(server)
        connection.close()

    thread = threading.Thread(target=hear_and_die, daemon=True)
    thread.start()
    with pytest.raises(WatcherGone, match="without an answer"):
        Recorder("r", tmp_path, server.getsockname()).round(row_makers["rounds"]("r", 1), [])
    thread.join(10)


def test_without_a_watcher_rows_are_kept_and_nobody_is_asked(tmp_path: Path, row_makers: Makers) -> None:
    recorder = Recorder("r", tmp_path)
    recorder.round(row_makers["rounds"]("r", 1), [])
    recorder.round(row_makers["rounds"]("r", 2), [row_makers["invocations"]("r", 2, 0)])
    assert [row.server_round for row in recorder.rounds] == [1, 2]
    assert read_run(tmp_path, "rounds")["server_round"].to_pylist() == [1, 2]
