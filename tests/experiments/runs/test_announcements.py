import json
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from experiments.runs.announcements import SetupStep, Watcher
from metrics.collect.recorder import Recorder, WatcherGone

NO_ROUND = b'{"event": "round"}\n'  # without its columns


def send(path, data):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    connection.sendall(data)
    connection.settimeout(10)
    return connection


def test_the_recorder_goes_on_when_the_event_has_been_dealt_with(tmp_path, row_makers):
    order = []

    def record():
        Recorder("r", tmp_path, watcher.path).round(row_makers["rounds"]("r", 4), [])
        order.append("went on")

    with Watcher() as watcher:
        thread = threading.Thread(target=record)
        thread.start()
        with watcher.accept() as event:
            assert event == row_makers["rounds"]("r", 4)
            order.append("drawn")
        thread.join(10)
    assert order == ["drawn", "went on"]


@pytest.mark.parametrize("data", [b"", b'{"event": "rou', b"not json\n", b"[1]\n", b"\xff\n", b"{}\n", NO_ROUND])
def test_what_is_no_announcement_is_passed_over(data):
    with Watcher() as watcher:
        connection = send(watcher.path, data)
        connection.shutdown(socket.SHUT_WR)
        with watcher.accept() as event:
            assert event is None
        connection.close()


def test_a_sender_that_is_gone_before_the_answer_is_no_error():
    with Watcher() as watcher:
        connection = send(watcher.path, json.dumps({"event": "setup", "step": "a"}).encode() + b"\n")
        with watcher.accept() as event:
            connection.close()
            assert event == SetupStep("a")


def test_an_event_of_several_packets_is_put_together():
    with Watcher() as watcher:
        connection = send(watcher.path, b'{"event": ')
        threading.Timer(0.1, connection.sendall, [b'"setup", "step": "a"}\n']).start()
        with watcher.accept() as event:
            assert event == SetupStep("a")
        connection.close()


def test_the_socket_is_private_its_name_is_short_and_nothing_stays(monkeypatch, tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with Watcher() as watcher:
        folder = Path(watcher.path).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(os.fsencode(watcher.path)) < 108
        assert watcher.fileno() > 0
    assert not folder.exists()


def test_when_the_watcher_is_closed_the_recorder_ends_the_run(tmp_path, row_makers):
    with Watcher() as watcher:
        path = watcher.path
    with pytest.raises(WatcherGone):
        Recorder("r", tmp_path, path).round(row_makers["rounds"](), [])
