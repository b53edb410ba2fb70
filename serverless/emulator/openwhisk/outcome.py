"""The outcome of an activation, in OpenWhisk's words, from the answer of its container."""

from __future__ import annotations

from typing import Any

from machine.json_values import read_json
from serverless.emulator.containers.container import Answer
from serverless.emulator.openwhisk import messages
from serverless.emulator.openwhisk.activations import APPLICATION_ERROR, DEVELOPER_ERROR, SUCCESS, Response


def of_init(answer: Answer) -> Response | None:
    """Return the outcome of an initialisation that was answered; None if it went well."""
    if answer.status == 200:
        return None
    text = answer.body.decode("utf-8", errors="replace")
    parsed = _parse(text)
    if isinstance(parsed, dict) and "error" in parsed:
        return Response.error(DEVELOPER_ERROR, parsed["error"], len(text))
    error = "The action failed during initialization" + (f": {text}" if text else ".")
    return Response.error(DEVELOPER_ERROR, error, len(text))


def of_run(answer: Answer) -> Response:
    """Return the outcome of a run that was answered.

    A JSON object with a field ``error`` is an application error even when the function returned it; any status
    but 200 is a developer error.
    """
    text = answer.body.decode("utf-8", errors="replace")
    size = len(text)
    if answer.length > len(answer.body):
        error = (
            f"The action produced a response that exceeded the allowed length: {answer.length} > {len(answer.body)} "
            f"bytes. The truncated response was: {text}"
        )
        return Response.error(APPLICATION_ERROR, error, answer.length)
    result = _parse(text)
    if answer.status != 200:
        has_error = isinstance(result, dict) and "error" in result
        error = result["error"] if has_error else messages.invalid_run_response(text)
        return Response.error(DEVELOPER_ERROR, error, size)
    if isinstance(result, dict) and "error" in result:
        return Response.error(APPLICATION_ERROR, result["error"], size)
    if not isinstance(result, dict | list):
        return Response.error(DEVELOPER_ERROR, messages.invalid_run_response(text), size)
    return Response(SUCCESS, result, size)


def gone(*, memory_exhausted: bool, during_init: bool) -> Response:
    """Return the outcome of an activation whose container ended instead of answering."""
    if memory_exhausted:
        return Response.error(DEVELOPER_ERROR, messages.MEMORY_EXHAUSTED)
    abnormal = messages.ABNORMAL_INITIALIZATION if during_init else messages.ABNORMAL_RUN
    return Response.error(DEVELOPER_ERROR, abnormal)


def timed_out(timeout_ms: int, *, during_init: bool) -> Response:
    """Return the outcome of an activation above its time limit."""
    end = " during initialization." if during_init else "."
    return Response.error(DEVELOPER_ERROR, f"The action exceeded its time limits of {timeout_ms} milliseconds{end}")


def _parse(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:
        return None
