"""What is unpacked stays where it belongs, and nothing that is read can run."""

import base64
import gzip
import io
import os
import re
import stat
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import requests

from serverless.emulator.containers import action_proxy, http_container
from serverless.emulator.launcher import start_emulator
from serverless.emulator.settings import EmulatorSettings
from serverless.functions.payload import CorruptData, unpack_images
from task.images import files
from task.images.files import read_npz
from task.images.idx import DataError
from task.mnist import MNIST

ROOMS = ("task", "machine", "metrics", "baselines", "serverless", "experiments", "scripts")
MAIN = "def main(args):\n    return {}\n"


def evil(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__main__.py", MAIN)
        archive.writestr(name, "escaped")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize("name", ["../escaped", "inside/../../escaped", "{tmp}/escaped", "../home-2/escaped"])
def test_a_zip_that_leads_out_is_refused_whole(name, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "home-2").mkdir()
    monkeypatch.chdir(home)
    with pytest.raises(ValueError, match="outside the action's folder"):
        action_proxy._write_source(evil(name.format(tmp=tmp_path)), binary=True)
    assert not list(tmp_path.rglob("escaped"))
    assert not list(home.iterdir())


@pytest.mark.parametrize("name", ["../escaped", "inside/../../escaped", "{tmp}/escaped", "../home-2/escaped"])
def test_so_is_one_for_the_other_kind_of_platform(name, tmp_path):
    home = tmp_path / "home"
    with pytest.raises(ValueError, match="outside the function's folder"):
        http_container.unpack(base64.b64decode(evil(name.format(tmp=tmp_path))), home, "__main__.py")
    assert not list(tmp_path.rglob("escaped"))
    assert not home.exists()


def unreadable(kind):
    """A zip whose entry wants a password, is packed in an unknown way, or wants a zip of the far future."""
    data = bytearray(base64.b64decode(evil("a")))
    entry = data.index(b"PK\x01\x02")
    data[entry + {"password": 8, "packing": 10, "version": 6}[kind]] = {"password": 1, "packing": 77, "version": 99}[
        kind
    ]
    return bytes(data)


@pytest.mark.parametrize("kind", ["password", "packing", "version"])
def test_a_zip_that_cannot_be_unpacked_is_refused_and_not_an_error_of_the_server(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no zip that can be unpacked"):
        http_container.unpack(unreadable(kind), tmp_path, "__main__.py")
    code = {"code": base64.b64encode(unreadable(kind)).decode(), "binary": True}
    status, answer = action_proxy.ActionProxy().init({"value": code})
    assert (status, answer["error"][:31]) == (502, "The action failed to generate o")


def bomb(size, entries=1, told=None):
    """A zip of so many zeros; ``told``: the size that it says instead."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", MAIN)
        for number in range(entries):
            archive.writestr(f"{number}", bytes(size))
    data = buffer.getvalue()
    return data if told is None else data.replace(size.to_bytes(4, "little"), told.to_bytes(4, "little"))


@pytest.mark.parametrize("zipped", [bomb(10**6), bomb(10**5, 10), bomb(0, 200), bomb(10**6, told=10)])
def test_a_small_zip_does_not_become_a_large_folder(zipped, tmp_path, monkeypatch):
    for module in (action_proxy, http_container):
        monkeypatch.setattr(module, "MOST_UNPACKED_BYTES", 5 * 10**5)
        monkeypatch.setattr(module, "MOST_ENTRIES", 100)
    with pytest.raises(ValueError, match=r"unpacks to more than|can be unpacked"):
        http_container.unpack(zipped, tmp_path / "other", "__main__.py")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    status, _ = action_proxy.ActionProxy().init({"value": {"code": base64.b64encode(zipped).decode(), "binary": True}})
    assert status == 502
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 5 * 10**5


def test_nor_images_large_arrays(tmp_path, monkeypatch):
    """Those of a client are not compressed at all; a file of the user's has a bound."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=np.zeros((1000, 28, 28), np.uint8), labels=np.zeros(1000, np.uint8))
    with pytest.raises(CorruptData, match="unpacks to more"):
        unpack_images(buffer.getvalue())
    monkeypatch.setattr(files, "MOST_UNPACKED_BYTES", 10**6)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{part.npz_key: np.zeros(10**6, np.uint8) for part in MNIST.parts})
    with pytest.raises(DataError, match="unpacks to more"):
        read_npz(buffer.getvalue(), "here", MNIST.parts)
    (tmp_path / f"{MNIST.parts[0].idx_file}.gz").write_bytes(gzip.compress(bytes(2 * 10**6)))
    with pytest.raises(DataError, match="unpacks to more"):
        MNIST.read(tmp_path)


def test_a_link_in_a_zip_does_not_become_one(tmp_path, monkeypatch):
    """A link that leads out, and a file that would be written through it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__main__.py", MAIN)
        link = zipfile.ZipInfo("out")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(tmp_path))
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    action_proxy._write_source(base64.b64encode(buffer.getvalue()).decode(), binary=True)
    assert not (home / "out").is_symlink()


@pytest.mark.server
def test_the_embedded_server_answers_an_evil_zip_as_a_failed_action(tmp_path):
    with start_emulator(EmulatorSettings(), tmp_path / "log") as server:
        api, auth = f"{server.api_host}/api/v1/namespaces/_/actions/evil", tuple(server.auth.split(":"))
        code = {"exec": {"kind": "python:3", "code": evil(f"{tmp_path}/escaped")}}
        assert requests.put(api, json=code, auth=auth, timeout=30).ok
        record = requests.post(api, params={"blocking": "true"}, json={}, auth=auth, timeout=60)
    assert record.status_code == 502
    assert record.json()["response"]["status"] == "action developer error"
    assert not (tmp_path / "escaped").exists()


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_arrays_with_objects_in_them_are_refused_and_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    np.savez(buffer, images=np.array([Bomb()], dtype=object), labels=np.array([Bomb()], dtype=object))
    with pytest.raises(CorruptData):
        unpack_images(buffer.getvalue())
    with pytest.raises(DataError):
        read_npz(buffer.getvalue(), "here", MNIST.parts)
    assert not (tmp_path / "exploded").exists()


def test_a_zip_of_something_else_than_arrays_is_refused():
    buffer = io.BytesIO()
    names = [part.npz_key for part in MNIST.parts]
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("images", "labels", *names):
            archive.writestr(f"{name}.npy", b"no array")
    with pytest.raises(CorruptData, match="not arrays of uint8"):
        unpack_images(buffer.getvalue())
    with pytest.raises(DataError, match="an entry is no array"):
        read_npz(buffer.getvalue(), "here", MNIST.parts)


def test_archives_are_unpacked_nowhere_else():
    """Who adds another place adds its test above; ``image.py`` unpacks only what it has just packed itself."""
    allowed = {"action_proxy.py", "http_container.py", "image.py"}
    root = Path(action_proxy.__file__).parents[3]
    unpacking = re.compile(r"extractall|\.extract\(|unpack_archive")
    files = [path for room in ROOMS for path in (root / room).rglob("*.py")]
    assert {path.name for path in files if unpacking.search(path.read_text())} <= allowed


def test_no_shell_is_started_and_nothing_is_evaluated():
    """Bandit looks as well, in ``make check``; this also holds where a line tells it not to."""
    root = Path(action_proxy.__file__).parents[3]
    calls = r"os\.system|os\.popen|import pickle|\bpickle\.\w|\bdill\b|(?<![\w.])(?:eval|exec)\("
    forbidden = re.compile(rf"shell\s*=\s*True|allow_pickle\s*=\s*True|{calls}")
    found = subprocess.run(["git", "ls-files", "*.py"], cwd=root, capture_output=True, text=True, check=True)
    files = [root / name for name in found.stdout.splitlines() if name.split("/")[0] in ROOMS]
    assert len(files) > 100
    assert {path.name for path in files if path.exists() and forbidden.search(path.read_text())} == set()
