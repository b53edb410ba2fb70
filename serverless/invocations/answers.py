"""Reads the answers of functions: a function may return anything, and every answer is checked here, and only here."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, TypeGuard

from machine.foreign_texts import plain
from machine.json_values import is_number
from metrics.collect.probe import WorkReport
from metrics.collect.row_types import CORRUPT_UPDATE, RUBBISH_ANSWER
from serverless.functions.messages import (
    AverageAnswer,
    ClientAnswer,
    CorruptAnswer,
    CorruptUpdate,
    Evaluation,
    InvokerAnswer,
)
from task.weights import diverged

_LARGEST_COUNT = 2**63 - 1  # what a column of the tables takes
_MOST_SPANS = 1000
_LONGEST_TEXT = 200
_MAY_BE_MISSING = {"cgroup_cpu_s", "cgroup_peak_memory_bytes", "cgroup_source", "clock"}
_SHA256 = re.compile("[0-9a-f]{64}")


class BadAnswer(ValueError):  # noqa: N818 - reads as the fact that it states
    """An answer that cannot be used; ``kind`` is what ``invocations.error_kind`` says of it."""

    kind = RUBBISH_ANSWER


class WrongUpdate(BadAnswer):
    """An answer by which the update stands for other images than it should."""

    kind = CORRUPT_UPDATE


def read_client_answer(result: object, num_examples: int, *, keeps_state: bool = False) -> ClientAnswer:
    """Read a client's answer.

    Parameters
    ----------
    num_examples
        The images that the client has: its update must stand for exactly these.
    keeps_state
        Whether it must have left its optimizer's state, too.

    Raises
    ------
    BadAnswer
        If a part is missing or of another type than it must be.
    WrongUpdate
        If it was trained on another number of images, or has diverged.
    """
    answer = _object(result)
    loss, state = answer.get("train_loss"), answer.get("state_sha256")
    if isinstance(loss, float) and (said := diverged(loss)):
        raise WrongUpdate(said)
    if loss is not None and not is_number(loss):
        raise BadAnswer(f"train_loss is {_shown(loss)}, not a number")
    read = ClientAnswer(
        num_examples=_count(answer, "num_examples"),
        train_loss=loss,
        update_sha256=_sha256(answer, "update_sha256"),
        state_sha256=_sha256(answer, "state_sha256") if keeps_state or state is not None else None,
        **_measured(answer),
    )
    if read.num_examples != num_examples:
        raise WrongUpdate(f"num_examples is {read.num_examples}; the client has {num_examples} images")
    return read


def read_aggregator_answer(
    result: object, num_examples: int, clients: Collection[int], *, keeps_state: bool = False
) -> AverageAnswer | CorruptAnswer:
    """Read the aggregator's answer.

    Parameters
    ----------
    num_examples
        The images behind the updates that it was asked to average.
    clients
        Whose updates these are.
    keeps_state
        Whether it must have left the strategy's state, too.

    Raises
    ------
    BadAnswer
        If a part is missing, of another type than it must be, or about other updates.
    """
    answer = _object(result)
    measured = _measured(answer)
    if "corrupt" in answer:
        return CorruptAnswer(corrupt=_corrupt(answer["corrupt"], clients), **measured)
    return AverageAnswer(**vars(read_evaluation(answer, num_examples, keeps_state=keeps_state)), **measured)


def read_invoker_answer(result: object) -> InvokerAnswer:
    """Read an invoker's answer; raises :class:`BadAnswer` if it cannot be used.

    What it says of its client is not trusted either: a part that is of another type than it must be counts as missing.
    """
    answer = _object(result)
    record = answer.get("record")
    return InvokerAnswer(
        record=record if isinstance(record, dict) else None,
        error_kind=_text(answer.get("error_kind")),
        reason=_text(answer.get("reason")),
        may_have_run=answer.get("may_have_run") is not False,
        activation_id=_text(answer.get("activation_id")),
        **_measured(answer),
    )


def read_evaluation(value: object, num_examples: int, *, keeps_state: bool = False) -> Evaluation:
    """Read the evaluation of the average of ``num_examples`` images; raises :class:`BadAnswer` if it is not one."""
    answer = _object(value)
    accuracy, loss, counted = (answer.get(name) for name in ("test_accuracy", "test_loss", "num_examples"))
    if not is_number(accuracy) or not 0 <= accuracy <= 1:
        raise BadAnswer(f"test_accuracy is {_shown(accuracy)}, not a number from 0 to 1")
    if not is_number(loss):
        raise BadAnswer(f"test_loss is {_shown(loss)}, not a finite number")
    digest = _sha256(answer, "weights_sha256")
    if counted != num_examples:
        raise BadAnswer(f"num_examples is {_shown(counted)}; {num_examples} were to be averaged")
    state = _sha256(answer, "state_sha256") if keeps_state or answer.get("state_sha256") is not None else None
    return Evaluation(
        test_accuracy=accuracy,
        test_loss=loss,
        weights_sha256=digest,
        num_examples=num_examples,
        state_sha256=state,
    )


def _object(result: object) -> Mapping[str, Any]:
    if not isinstance(result, Mapping):
        raise BadAnswer(f"the answer is {_shown(result)}, not an object")
    return result


def _measured(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Read the part of an answer that every function gives; see :class:`serverless.functions.messages.Measured`."""
    return {
        "bytes_in": _count(answer, "bytes_in"),
        "bytes_out": _count(answer, "bytes_out"),
        "work": _work(answer.get("work")),
    }


def _corrupt(found: object, clients: Collection[int]) -> tuple[CorruptUpdate, ...]:
    if not isinstance(found, list) or not found:
        raise BadAnswer(f"corrupt is {_shown(found)}, not a list of updates")
    for one in found:
        if (
            not isinstance(one, dict)
            or not _is_one_of(clients, one.get("client_id"))
            or not isinstance(one.get("error"), str)
        ):
            raise BadAnswer(f"{_shown(one)} does not say which update is corrupt, and why")
    return tuple(CorruptUpdate(client_id=one["client_id"], error=plain(one["error"])) for one in found)


def _work(value: object) -> WorkReport:
    """Read the probe's report; every moment and amount in it must be a number."""
    if not isinstance(value, dict) or not isinstance(value.get("spans"), list | tuple):
        raise BadAnswer(f"work is {_shown(value)}, not the report of a probe")
    try:
        work = WorkReport.from_dict(value)
    except (TypeError, ValueError) as error:
        raise BadAnswer(f"work is not the report of a probe: {plain(str(error), _LONGEST_TEXT)}") from error
    if len(work.spans) > _MOST_SPANS:
        raise BadAnswer(f"work has {len(work.spans)} spans; {_MOST_SPANS} are allowed")
    kinds = {column.name: str(column.type) for column in fields(WorkReport) if column.name != "spans"}
    values = [(name, kind, getattr(work, name)) for name, kind in kinds.items()]
    for span in work.spans:
        values += [("phase", "str", span.phase), ("start", "float", span.start), ("end", "float", span.end)]
    for name, kind, found in values:
        if not (found is None and name in _MAY_BE_MISSING) and not _fits(kind.partition(" ")[0], found):
            raise BadAnswer(f"{name} in work is {_shown(found)}, not {kind}")
    return work


def _fits(kind: str, value: object) -> bool:
    if kind == "float":
        return is_number(value)
    if kind == "str":
        return isinstance(value, str) and plain(value, _LONGEST_TEXT) == value
    return _is_count(value) if kind == "int" else isinstance(value, bool)


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= _LARGEST_COUNT


def _is_one_of(clients: Collection[int], value: object) -> bool:
    return type(value) is int and value in clients


def _count(answer: Mapping[str, Any], name: str) -> int:
    value = answer.get(name)
    if not _is_count(value):
        raise BadAnswer(f"{name} is {_shown(value)}, not a whole number")
    return value


def _sha256(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise BadAnswer(f"{name} is {_shown(value)}, not a hash")
    return value


def _text(value: object) -> str | None:
    return plain(value) if isinstance(value, str) else None


def _shown(value: object) -> str:
    """Spell a value out, as far as that is short: Python refuses to spell very long numbers and deep lists."""
    try:
        return plain(repr(value), 60)
    except (ValueError, RecursionError):
        return f"a very large {type(value).__name__}"
