"""Files and objects: weights, data sets, and the zip of a function."""

from __future__ import annotations

import base64
import gzip
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from serverless.emulator.containers import action_proxy, http_container
from serverless.functions.payload import CorruptData, pack_images, unpack_images
from task.images import files, idx
from task.images.idx import DataError
from task.mnist import MNIST
from task.weights import CorruptWeights, check, dumps, loads, restore, sha256
from tests.fuzz.target import Target

WEIGHTS = {"dense/kernel": np.zeros((2, 3), np.float32), "dense/bias": np.ones(3, np.float32)}
IMAGES, LABELS = np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.uint8)


def read_weights(data: bytes) -> None:
    """What was read has the checksum that it came with, and is written to the same bits again."""
    weights = loads(data)
    assert sha256(loads(dumps(weights))) == sha256(weights)
    check(weights, WEIGHTS)


def restore_weights(data: bytes) -> None:
    restore(data, sha256(WEIGHTS))


def read_idx(data: bytes) -> None:
    array = idx.decode(data, "file")
    assert idx.encode(array) == data


def read_idx_file(data: bytes) -> None:
    """A folder with one gzipped file."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        Path(folder, "train-images-idx3-ubyte.gz").write_bytes(data)
        files.read(Path(folder), MNIST.parts[:1])


def read_npz(data: bytes) -> None:
    files.read_npz(data, "file", MNIST.parts)


def read_images(data: bytes) -> None:
    images, labels = unpack_images(data)
    assert len(images) == len(labels)


def unpack_service(data: bytes) -> None:
    _unpacked(data, lambda folder: http_container.unpack(data, folder, "__main__.py"))


def unpack_action(data: bytes) -> None:
    _unpacked(data, lambda _: action_proxy._write_source(base64.b64encode(data).decode(), binary=True))


def _unpacked(data: bytes, unpack) -> None:
    """Unpack in a folder within a folder: nothing may be beside it afterwards."""
    outer = Path(tempfile.mkdtemp(dir=memory()))
    before = Path.cwd()
    try:
        inner = outer / "inner"
        inner.mkdir()
        os.chdir(inner)
        unpack(inner)
        assert (inner / "__main__.py").is_file()
    finally:
        os.chdir(before)
        beside = [path for path in outer.iterdir() if path.name != "inner"]
        shutil.rmtree(outer)
        assert not beside


def memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _weights() -> Iterator[bytes]:
    yield dumps(WEIGHTS)
    yield dumps({"a": np.zeros((), np.float32)})
    yield b"\x02\0\0\0\0\0\0\0{}"


def _idx() -> Iterator[bytes]:
    yield idx.encode(IMAGES[:1, :3, :3])
    yield idx.encode(LABELS)
    yield idx.encode(np.zeros((1,) * 9, np.uint8))


def _gzipped() -> Iterator[bytes]:
    for data in _idx():
        yield gzip.compress(data, mtime=0)


def _npz() -> Iterator[bytes]:
    for compressed in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        compressed(buffer, x_train=LABELS, y_train=LABELS, x_test=LABELS, y_test=LABELS)
        yield buffer.getvalue()


def _images() -> Iterator[bytes]:
    yield pack_images(IMAGES, LABELS)
    yield pack_images(IMAGES[:0], LABELS[:0])


def zipped(*names: str, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of functions and folders of these names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "" if name.endswith("/") else "def main(a): return a\n" * 3)
    return buffer.getvalue()


def _zip() -> Iterator[bytes]:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield zipped("__main__.py", "a/b.txt", "c/", method=method)


FORMATS = {
    "weights": Target(
        read_weights, (CorruptWeights,), _weights, ('"__metadata__":', '"dtype":"F32"', '"shape":[', "null", "{}")
    ),
    "kept-weights": Target(
        restore_weights, (CorruptWeights,), _weights, ('"__metadata__":', '"dtype":"F64"', '"BF16"')
    ),
    "idx": Target(read_idx, (DataError,), _idx),
    "idx-file": Target(read_idx_file, (DataError,), _gzipped),
    "npz": Target(read_npz, (DataError,), _npz, ("'descr': '|u1'", "'shape': (", "PK\x05\x06")),
    "images": Target(read_images, (CorruptData,), _images, ("'descr': '|u1'", "'shape': (", "PK\x05\x06")),
    "service-zip": Target(unpack_service, (ValueError,), _zip, ("../", "/", "__main__.py", "PK\x01\x02")),
    "action-zip": Target(unpack_action, (Exception,), _zip, ("../", "/", "__main__.py", "PK\x01\x02")),
}
