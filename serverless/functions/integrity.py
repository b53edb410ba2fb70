"""Whether bytes arrived as they were sent, by the MD5 sums that object stores use.

This finds accidents in transfer, for which MD5 is good enough; it does not keep attackers out. Damaged bytes are sent
again at once. Bytes that are damaged in the same way every time pass here, and are found when they are decoded: weights
have a checksum (:mod:`task.weights`), images those of their archive.
"""

from __future__ import annotations

import base64
import hashlib
import re

_MD5_TAG = re.compile(r'"([0-9a-f]{32})"')


def content_md5(data: bytes) -> str:
    """Return the value of the header ``Content-MD5``: a store refuses ``data`` if it arrives as something else."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode("ascii")


def is_damaged(data: bytes, tag: str, met: set[str]) -> bool:
    """Whether ``data`` is not what the store says that it sent.

    Parameters
    ----------
    tag
        The answer's ``ETag``: the MD5 sum of most objects, but not of those in parts or with a client's own key.
    met
        Digests of damaged answers so far; this one's is added. The same bytes twice were not damaged in
        transfer: the tag is something else than their MD5 sum.

    Examples
    --------
    >>> met = set()
    >>> is_damaged(b"x", '"9dd4e461268c8034f5c8564e155c67a6"', met), is_damaged(b"y", '"some-other-tag"', met)
    (False, False)
    >>> [is_damaged(b"y", '"9dd4e461268c8034f5c8564e155c67a6"', met) for _ in range(2)]
    [True, False]
    """
    expected = _MD5_TAG.fullmatch(tag)
    if expected is None:
        return False
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found in (expected[1], *met):
        return False
    met.add(found)
    return True
