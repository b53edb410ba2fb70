"""What functions answer, held to what they must answer: a function may return anything at all."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, TypeGuard

from metrics.collect.probe import WorkReport

CORRUPT_UPDATE = "corrupt update"
RUBBISH_ANSWER = "rubbish answer"
_MAY_BE_MISSING = {"cgroup_cpu_s", "cgroup_peak_memory_bytes", "cgroup_source"}
_DIGITS_OF_SHA256 = 64


class BadAnswer(ValueError):  # noqa: N818 - reads as the fact that it states
    """An answer that cannot be used; ``kind`` is what ``invocations.error_kind`` says of it."""

    kind = RUBBISH_ANSWER


class WrongUpdate(BadAnswer):
    """An answer that says that the update stands for something else than it should."""

    kind = CORRUPT_UPDATE


def check_client_answer(result: Mapping[str, Any] | None, num_examples: int) -> WorkReport:
    """Return the probe's report in a client's answer.

    Parameters
    ----------
    num_examples
        The images that the client has: its update must stand for exactly these.

    Raises
    ------
    BadAnswer
        If something is missing, or of another type than it must be.
    WrongUpdate
        If it was trained on another number of images.
    """
    answer = _object(result)
    for name in ("num_examples", "bytes_in", "bytes_out"):
        _whole_number(name, answer.get(name))
    if not isinstance(answer.get("train_loss"), int | float | None):
        raise BadAnswer(f"train_loss is {_shown(answer['train_loss'])}, not a number")
    work = _work(answer.get("work"))
    if answer["num_examples"] != num_examples:
        raise WrongUpdate(f"num_examples is {answer['num_examples']}; the client has {num_examples} images")
    return work


def check_aggregator_answer(
    result: Mapping[str, Any] | None, num_examples: int, clients: Collection[int]
) -> WorkReport:
    """Return the probe's report in the aggregator's answer.

    Parameters
    ----------
    num_examples
        The images behind the updates that it was asked to average.
    clients
        Whose updates these are.

    Raises
    ------
    BadAnswer
        If something is missing, of another type than it must be, or about other updates.
    """
    answer = _object(result)
    work = _work(answer.get("work"))
    for name in ("bytes_in", "bytes_out"):
        _whole_number(name, answer.get(name))
    if "corrupt" in answer:
        _check_corrupt(answer["corrupt"], clients)
    else:
        check_evaluation(answer, num_examples)
    return work


def check_invoker_answer(result: Mapping[str, Any] | None) -> WorkReport:
    """Return the probe's report in an invoker's answer; raises :class:`BadAnswer` if it cannot be used."""
    answer = _object(result)
    for name in ("bytes_in", "bytes_out"):
        _whole_number(name, answer.get(name))
    return _work(answer.get("work"))


def check_evaluation(answer: Mapping[str, Any], num_examples: int) -> None:
    """Refuse, with :class:`BadAnswer`, what does not say how good the average of ``num_examples`` images is."""
    accuracy, loss, digest = (answer.get(name) for name in ("test_accuracy", "test_loss", "weights_sha256"))
    if not _is_number(accuracy) or not 0 <= accuracy <= 1:
        raise BadAnswer(f"test_accuracy is {_shown(accuracy)}, not a number from 0 to 1")
    if not isinstance(loss, int | float) or isinstance(loss, bool):
        raise BadAnswer(f"test_loss is {_shown(loss)}, not a number")
    if not isinstance(digest, str) or len(digest) != _DIGITS_OF_SHA256:
        raise BadAnswer(f"weights_sha256 is {_shown(digest)}, not a hash")
    if answer.get("num_examples") != num_examples:
        raise BadAnswer(f"num_examples is {_shown(answer.get('num_examples'))}; {num_examples} were to be averaged")


def corrupt_updates(answer: Mapping[str, Any]) -> dict[int, str]:
    """Return what a checked answer of the aggregator says is wrong with updates, by client; empty if nothing is."""
    return {one["client_id"]: one["error"] for one in answer.get("corrupt", [])}


def _check_corrupt(found: object, clients: Collection[int]) -> None:
    if not isinstance(found, list) or not found:
        raise BadAnswer(f"corrupt is {_shown(found)}, not a list of updates")
    for one in found:
        if not isinstance(one, dict) or one.get("client_id") not in clients or not isinstance(one.get("error"), str):
            raise BadAnswer(f"{_shown(one)} does not say which update is corrupt, and why")


def _object(result: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if not isinstance(result, Mapping):
        raise BadAnswer(f"the answer is {_shown(result)}, not an object")
    return result


def _work(value: object) -> WorkReport:
    """Rebuild the probe's report; every moment and amount in it must be a number."""
    if not isinstance(value, dict) or not isinstance(value.get("spans"), list | tuple):
        raise BadAnswer(f"work is {_shown(value)}, not the report of a probe")
    try:
        work = WorkReport.from_dict(value)
    except (TypeError, ValueError) as error:
        raise BadAnswer(f"work is not the report of a probe: {error}") from error
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
        return _is_number(value)
    return {"int": type(value) is int, "str": isinstance(value, str), "bool": isinstance(value, bool)}[kind]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole_number(name: str, value: object) -> None:
    if type(value) is not int or value < 0:
        raise BadAnswer(f"{name} is {_shown(value)}, not a whole number")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
