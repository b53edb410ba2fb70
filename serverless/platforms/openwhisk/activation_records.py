"""OpenWhisk's answers, read without trusting them: a gateway's page or half a record must not end a run."""

from __future__ import annotations

from typing import Any

from serverless.functions.openwhisk.answers import INVOCATION
from serverless.platforms.protocol import Invocation

# OpenWhisk's words, and those of its Python image, for a container that ended; also if the kernel killed it for memory.
_ENDED = ("exited unexpectedly", "command exited")
_MEMORY_HINT = (
    "The platform gives no reason; if memory ran out, raise platform.client.memory_mb or platform.aggregator.memory_mb"
)


def read_record(record: object) -> Invocation | None:
    """Read an activation record; times in it are milliseconds. ``None`` if it is none, or a part of one."""
    try:
        return _read(record)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        return None


def names(record: object, key: str) -> bool:
    """Whether this is the record of the invocation that was sent with ``key``."""
    try:
        return bool(record["response"]["result"][INVOCATION] == key)  # type: ignore[index]
    except (KeyError, TypeError, RecursionError):
        return False


def _read(record: Any) -> Invocation:
    notes = {note["key"]: note["value"] for note in record.get("annotations", [])}
    response = record["response"]
    result = response.get("result")
    failed = not response.get("success", False)
    error = result.get("error") if failed and isinstance(result, dict) else result if failed else None
    kind = str(response.get("status", "error")) if failed else None
    if not failed and not isinstance(result, dict):
        kind, error = "no object", f"the function returned {type(result).__name__}, not an object"
    return Invocation(
        activation_id=record.get("activationId"),
        result=None if kind else result,
        error_kind=_killed(record, kind, notes),
        error=None if error is None else _explained(str(error)),
        provider_s=_seconds(record.get("duration")),
        provider_start="reported",
        wait_s=_seconds(notes.get("waitTime")),
        init_s=_seconds(notes.get("initTime")),
    )


def _explained(error: str) -> str:
    return f"{error} ({_MEMORY_HINT})" if any(words in error for words in _ENDED) else error


def _killed(record: dict[str, Any], kind: str | None, notes: dict[str, Any]) -> str | None:
    """Tell a time-out apart from other errors: the record's annotation says so."""
    return "timed out" if kind and notes.get("timeout") is True else kind


def _seconds(milliseconds: Any) -> float | None:
    return None if milliseconds is None else float(milliseconds) / 1000
