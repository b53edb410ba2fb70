"""Model weights in memory and on the wire.

Weights are named float32 arrays in the model's order. On the wire they are safetensors: a length, a JSON header and raw
little-endian data; unlike pickle, they cannot execute code. The header has a checksum of the weights, so that a reader
knows that they are the ones that were written. It protects against accidents, not against attacks: CRC-32 finds every
flipped bit, in a quarter of the time that SHA-256 takes within a round.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

Weights = dict[str, NDArray[np.float32]]
_CHECKSUM = "crc32"  # in the file's metadata
_LENGTH_BYTES = 8  # of the header, before it
_HEADER_BYTES = 4096  # the most that a header may take, and as much again for every ten arrays
_DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "I64": "int64", "U8": "uint8"}
_BLOCK = 8192  # values, below which no BLAS uses several threads
_SHOWN = 60  # characters of a foreign text


class CorruptWeights(ValueError):  # noqa: N818 - reads as the fact that it states
    """Bytes or arrays that are not the weights they should be."""


@dataclass(frozen=True)
class Stamp:
    """What an update says of itself, in its header: whose work it is, and from how many images."""

    server_round: int
    client_id: int
    attempt: int
    num_examples: int

    def __str__(self) -> str:
        return (
            f"round {self.server_round}, client {self.client_id}, attempt {self.attempt}, {self.num_examples} examples"
        )


def dumps(weights: Weights, stamp: Stamp | None = None) -> bytes:
    """Encode weights as safetensors, with their checksum and, if they are an update, its stamp."""
    arrays = {name: np.asarray(array, order="C") for name, array in weights.items()}
    said = {name: str(value) for name, value in asdict(stamp).items()} if stamp else {}
    data: bytes = save(arrays, metadata={_CHECKSUM: _checksum(arrays), **said})
    return data


def loads(data: bytes) -> Weights:
    """Decode what :func:`dumps` made.

    Raises
    ------
    CorruptWeights
        If ``data`` is truncated, is not safetensors, or contains other weights than were written.
    """
    weights = _decode(data)
    noted, found = _header(data, len(data)).get("__metadata__", {}).get(_CHECKSUM), _checksum(weights)
    if noted is None:
        raise CorruptWeights(f"{len(data)} bytes note no checksum of their weights: no version since 0.1.0 wrote them")
    if found != noted:
        raise CorruptWeights(f"{len(data)} bytes hold weights of the checksum {found}, but {noted} is noted: damaged")
    return weights


def read(data: bytes, like: Weights, *, stamp: Stamp | None = None, sha256: str | None = None) -> Weights:
    """Decode weights from somebody who may have sent anything: what is wrong is refused before arrays are made.

    Parameters
    ----------
    like
        Arrays of the names, shapes and type that are expected; their values do not matter.
    stamp
        What the header must say; ``None``: anything.
    sha256
        The :func:`digest` of the bytes that counted; ``None``: it is not known.

    Raises
    ------
    CorruptWeights
        If ``data`` is too large, or contains other arrays or another stamp than expected, or a value that is not
        finite; the text is short, whatever ``data`` is.
    """
    if len(data) > largest_bytes(like):
        raise CorruptWeights(f"{len(data)} bytes are too many: the weights take {largest_bytes(like)} at most")
    if sha256 is not None and digest(data) != sha256:
        raise CorruptWeights(
            "these are not the bytes that counted: their SHA-256 is another (damaged, or written again)"
        )
    header = _header(data, _most_header_bytes(like))
    said = header.pop("__metadata__", {})
    if not isinstance(said, dict):
        raise CorruptWeights(f"the header's metadata are a {type(said).__name__}")
    compare({name: _entry(entry) for name, entry in header.items()}, like)
    if stamp and (wrong := [key for key, value in asdict(stamp).items() if said.get(key) != str(value)]):
        found = ", ".join(f"{key}={_cut(said.get(key))}" for key in wrong)
        raise CorruptWeights(f"it is another update: {found}, but it should be of {stamp}")
    weights = loads(data)
    _check_finite(weights)
    return weights


def largest_bytes(like: Weights) -> int:
    """Return the most bytes that weights like these take: whoever reads them need not read more.

    Examples
    --------
    >>> largest_bytes({"w": np.zeros(1000, np.float32)})
    8513
    """
    return _LENGTH_BYTES + _most_header_bytes(like) + sum(array.nbytes for array in like.values())


def digest(data: bytes) -> str:
    """Return the SHA-256 of encoded weights: the bytes that counted, and no others."""
    return hashlib.sha256(data).hexdigest()


def _most_header_bytes(like: Weights) -> int:
    return _HEADER_BYTES + _HEADER_BYTES * len(like) // 10


def _header(data: bytes, most_bytes: int) -> dict[str, Any]:
    """Parse the header of safetensors, if it takes no more than ``most_bytes``."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) < _LENGTH_BYTES or length > len(data) - _LENGTH_BYTES:
        raise CorruptWeights(f"{len(data)} bytes are not whole safetensors weights")
    if length > most_bytes:
        raise CorruptWeights(f"a header of {length} bytes is too long: {most_bytes} are allowed")
    try:
        header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise CorruptWeights(f"{len(data)} bytes are not whole safetensors weights: their header is no JSON object")
    return header


def _entry(entry: object) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("shape"), list):
        return "no array"
    return described(_DTYPES.get(str(entry.get("dtype")), entry.get("dtype")), entry["shape"])


def described(dtype: object, shape: Sequence[object]) -> str:
    """Describe an array, in a short text.

    Examples
    --------
    >>> described("float32", (3, 2))
    'float32[3, 2]'
    """
    return _cut(f"{dtype}{list(shape[:9])}")


def _expected(array: NDArray[Any]) -> str:
    return described(array.dtype, array.shape)


def compare(found: Mapping[str, str], like: Weights) -> None:
    """Compare what :func:`described` says of arrays with the arrays that they should be.

    Raises
    ------
    CorruptWeights
        If a name is missing or unknown, or an array has another shape or another type.
    """
    if found.keys() != like.keys():
        raise CorruptWeights(f"unexpected or missing arrays: {_few(sorted(found.keys() ^ like.keys()))}")
    for name, description in found.items():
        if description != _expected(like[name]):
            raise CorruptWeights(f"{name} is {description}, expected {_expected(like[name])}")


def _check_finite(weights: Weights) -> None:
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise CorruptWeights(f"{name} holds a value that is not finite (the client's training diverged)")


def _few(names: Iterable[str]) -> str:
    first, *rest = names
    return ", ".join([_cut(first), *(_cut(name) for name in rest[:4]), *(["..."] if len(rest) > 4 else [])])


def _cut(value: object) -> str:
    text = str(value).encode("ascii", "backslashreplace").decode()
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _checksum(weights: Weights) -> str:
    found = 0
    for name in sorted(weights):
        array = np.asarray(weights[name], order="C")
        found = zlib.crc32(f"{name}:{array.dtype.str}:{array.shape};".encode(), found)
        found = zlib.crc32(array.data, found)
    return f"{found:08x}"


def _decode(data: bytes) -> Weights:
    try:
        weights: Weights = load(data)
    except SafetensorError as error:
        raise CorruptWeights(f"{len(data)} bytes are not whole safetensors weights: {error}") from error
    return weights


def restore(data: bytes, expected_sha256: str) -> Weights:
    """Decode weights that were kept for later, and compare them with the hash that was kept with them.

    Raises
    ------
    CorruptWeights
        If ``data`` is truncated, or contains other weights.
    """
    weights = _decode(data)
    found = sha256(weights)
    if found != expected_sha256:
        raise CorruptWeights(f"the weights that were kept have the hash {found}, not {expected_sha256} as noted")
    return weights


def check(weights: Weights, like: Weights) -> None:
    """Refuse weights that must not enter an average.

    Parameters
    ----------
    weights
        An update that arrived.
    like
        Weights with the expected names and shapes.

    Raises
    ------
    CorruptWeights
        If a name is missing or unknown, or an array has another shape, another type, or a value that is not finite.
    """
    compare({name: _expected(array) for name, array in weights.items()}, like)
    _check_finite(weights)


def diverged(train_loss: float) -> str:
    """Say that an update's training diverged, where its loss is no finite number; else "".

    Such an update is refused although its weights may be finite, by every backend and in the same words.

    Examples
    --------
    >>> diverged(0.5), diverged(float("inf"))
    ('', "train_loss is inf: the client's training diverged")
    """
    return "" if math.isfinite(train_loss) else f"train_loss is {train_loss}: the client's training diverged"


def distance(one: Weights, other: Weights) -> float:
    """Return the L2 norm of the difference of weights of the same shapes, in float64.

    It reads each array once, in blocks that stay in the processor's cache; no difference is ever whole in memory.

    Examples
    --------
    >>> distance({"w": np.float32([3, 0])}, {"w": np.float32([0, 4])})
    5.0
    """
    total, buffer = 0.0, np.empty(_BLOCK)
    for name, array in one.items():
        new, old = array.reshape(-1), other[name].reshape(-1)
        for start in range(0, new.size, _BLOCK):
            part = buffer[: min(_BLOCK, new.size - start)]
            np.subtract(new[start : start + _BLOCK], old[start : start + _BLOCK], out=part, dtype=np.float64)
            total += float(part @ part)
    return math.sqrt(total)


def sha256(weights: Weights) -> str:
    """Hash names, shapes and values: equal hashes mean bit-identical weights, however they were encoded."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.asarray(weights[name], order="C")
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
