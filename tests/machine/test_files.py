"""Files are written whole or not at all, and who waits for room waits no longer than it takes."""

import errno
import os
import time

import pytest

from machine import files


@pytest.fixture
def full_for(monkeypatch):
    def fill(seconds):
        end, fsync = time.monotonic() + seconds, os.fsync

        def full(number):
            if time.monotonic() < end:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(number)

        monkeypatch.setattr(files.os, "fsync", full)

    return fill


def test_a_disk_that_has_room_again_is_waited_for(tmp_path, full_for):
    full_for(0.5)
    start = time.monotonic()
    files.await_room(tmp_path, 60)
    assert 0.5 <= time.monotonic() - start < 30
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("patience_s", "stopped"), [(0.3, False), (60, True)])
def test_nobody_waits_for_ever_nor_after_a_stop(tmp_path, full_for, patience_s, stopped):
    full_for(3600)
    start = time.monotonic()
    files.await_room(tmp_path, patience_s, lambda: stopped)
    assert time.monotonic() - start < 30
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_names_the_file_and_leaves_what_was_there(tmp_path, full_for):
    path = tmp_path / "table"
    files.write_whole(path, b"old")
    full_for(3600)
    with pytest.raises(OSError, match="table") as caught:
        files.write_whole(path, b"new")
    assert caught.value.filename == str(path)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"table": b"old"}
