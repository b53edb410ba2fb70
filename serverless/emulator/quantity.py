"""Amounts of memory as Kubernetes writes them, which OpenFaaS and Google's functions take over."""

from __future__ import annotations

import re

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|k|M|G|)")


def mebibytes(quantity: str) -> int:
    """Return a quantity in MiB, rounded down, at least 1.

    Raises
    ------
    ValueError
        If it is no quantity of memory.

    Examples
    --------
    >>> mebibytes("512Mi"), mebibytes("2Gi"), mebibytes("256M")
    (512, 2048, 244)
    """
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        raise ValueError(f"quantities must be a number and one of k, M, G, Ki, Mi, Gi or nothing, not {quantity!r}")
    return max(1, int(float(match[1]) * _UNITS[match[2]]) >> 20)
