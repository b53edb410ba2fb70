"""The store that keeps activation records."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from serverless.emulator.activation import Activation


class ActivationStore:
    """The newest records, found by id or listed by time.

    Parameters
    ----------
    kept
        How many records are kept.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._records: OrderedDict[str, Activation] = OrderedDict()

    def add(self, activation: Activation) -> None:
        """Store a finished activation, and drop the oldest one if there are too many."""
        self._records[activation.activation_id] = activation
        if len(self._records) > self._kept:
            self._records.popitem(last=False)

    def get(self, activation_id: str) -> Activation | None:
        """Return a record, or None as long as its activation has not ended."""
        return self._records.get(activation_id)

    def find(self, path: str | None, since: int | None, upto: int | None) -> list[Activation]:
        """Return records, the latest start first.

        Parameters
        ----------
        path
            ``NAME`` or ``PACKAGE/NAME`` of the action; None is all.
        since, upto
            Bounds of ``start``, both included; milliseconds since the epoch.
        """

        def matching() -> Iterator[Activation]:
            for record in self._records.values():
                if (
                    (path is None or record.invoked_path == path)
                    and (since is None or record.start >= since)
                    and (upto is None or record.start <= upto)
                ):
                    yield record

        return sorted(matching(), key=lambda record: record.start, reverse=True)
