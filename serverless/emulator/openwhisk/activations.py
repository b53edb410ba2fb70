"""Activation records, which OpenWhisk keeps of invocations, and their store."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serverless.emulator.openwhisk.entities import NAMESPACE, Action

SUCCESS, APPLICATION_ERROR, DEVELOPER_ERROR, WHISK_ERROR = range(4)
_STATUS = ("success", "application error", "action developer error", "whisk internal error")


def new_activation_id() -> str:
    """Return a fresh id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Response:
    """How an activation ended.

    Parameters
    ----------
    status_code
        0 success, 1 application error, 2 action developer error, 3 whisk internal error.
    result
        What the function returned, or ``{"error": ...}``.
    size
        Length of the container's answer in characters, where it gave one.
    """

    status_code: int
    result: Any
    size: int | None = None

    @classmethod
    def error(cls, status_code: int, error: object, size: int | None = None) -> Response:
        """Return a response whose result is ``{"error": error}``."""
        return cls(status_code, {"error": error}, size)

    def to_json(self) -> dict[str, Any]:
        """Return OpenWhisk's ``response`` object."""
        shown = {
            "status": _STATUS[self.status_code],
            "success": self.status_code == SUCCESS,
            "result": self.result,
        }
        return shown if self.size is None else shown | {"size": self.size}


@dataclass(frozen=True)
class Activation:
    """One finished activation; times in milliseconds, moments since the epoch.

    Parameters
    ----------
    start, end
        From the beginning of the initialisation (of the run, in a warm container) to its end.
    wait_time
        From the arrival of the request to ``start``.
    init_time
        Length of the initialisation; None in a warm container.
    timed_out
        Whether the time limit ended it.
    binding
        The package binding that it was invoked through, if any.
    """

    activation_id: str
    action: Action
    start: int
    end: int
    wait_time: int
    response: Response
    init_time: int | None = None
    timed_out: bool = False
    logs: tuple[str, ...] = ()
    binding: str | None = None

    @property
    def invoked_path(self) -> str:
        """``NAME`` or ``PACKAGE/NAME`` that lists are filtered by: of the binding, where there is one."""
        return f"{self.binding}/{self.action.name}" if self.binding else self.action.path

    def _annotations(self) -> list[dict[str, Any]]:
        annotations = {
            "path": self.action.full_name,
            "waitTime": self.wait_time,
            "kind": self.action.exec.kind,
            "timeout": self.timed_out,
            "limits": self.action.limits.to_json(),
        }
        if self.init_time is not None:
            annotations["initTime"] = self.init_time
        if self.binding is not None:
            annotations["binding"] = f"{NAMESPACE}/{self.binding}"
        return [{"key": key, "value": value} for key, value in annotations.items()]

    def _common(self) -> dict[str, Any]:
        return {
            "namespace": NAMESPACE,
            "name": self.action.name,
            "version": self.action.version,
            "publish": False,
            "annotations": self._annotations(),
            "activationId": self.activation_id,
            "start": self.start,
            "end": self.end,
            "duration": self.end - self.start,
        }

    def summary(self) -> dict[str, Any]:
        """Return the entry of a list of activations."""
        return self._common() | {"statusCode": self.response.status_code}

    def to_json(self) -> dict[str, Any]:
        """Return the whole record."""
        return self._common() | {
            "subject": NAMESPACE,
            "logs": list(self.logs),
            "response": self.response.to_json(),
        }


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
