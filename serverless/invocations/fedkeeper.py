"""FedKeeper's own topology: the keeper invokes an invoker function per client, and that one invokes the client.

After M. Chadha, A. Jindal, M. Gerndt: "Towards Federated Learning using FaaS Fabric", WoSC 2020, and the code published
with it (ansjin/fl_faas_fabric). An invoker waits for its client, and is billed as long: that is what it costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from machine.clocks import now
from metrics.collect.row_types import RUBBISH_ANSWER, InvocationRow
from serverless.functions.messages import InvokerAnswer, InvokerParams
from serverless.invocations.answers import BadAnswer, read_invoker_answer
from serverless.invocations.attempt_rows import AttemptRows, by_our_clock
from serverless.invocations.work import Work
from serverless.platforms.openwhisk.activation_records import read_record
from serverless.platforms.protocol import FunctionSpec, Invocation, Platform, PlatformError
from serverless.platforms.registry import descriptor
from serverless.storage.run_objects import RunObjects

CODE = "invoker"  # whose code the functions have, and what ``invocations.function`` says


@dataclass(frozen=True)
class Relay:
    """The invoker functions of a run.

    Parameters
    ----------
    limits
        Of each of them; its name is not used.
    objects
        Where the weights lie that they read, and the copies that they hand on.
    rows
        Their attempts that have ended, until somebody takes them.
    """

    limits: FunctionSpec
    objects: RunObjects
    rows: SimpleQueue[InvocationRow] = field(default_factory=SimpleQueue)

    def taken_rows(self) -> list[InvocationRow]:
        """Return the attempts that have ended since this was last asked."""
        found = []
        while True:
            try:
                found.append(self.rows.get_nowait())
            except Empty:
                return found


def invoker_name(client_id: int) -> str:
    """Return the name of a client's own invoker function."""
    return f"{CODE}-{client_id:05d}"


def invoker_of(client_id: int, limits: FunctionSpec) -> FunctionSpec:
    """Return a client's own invoker function."""
    return replace(limits, name=invoker_name(client_id), code=CODE, may_invoke=True)


def deploy_invokers(platform: Platform, clients: Iterable[int], limits: FunctionSpec) -> None:
    """Bring an invoker for each client to the platform; raises :class:`PlatformError` if there can be none."""
    if not descriptor(platform.name).functions_may_invoke:
        raise PlatformError(f"topology=fedkeeper: functions on {platform.name} cannot invoke others")
    for client_id in clients:
        platform.deploy(invoker_of(client_id, limits))


@dataclass(frozen=True)
class RelayedCaller:
    """Each client is invoked by its own invoker: a :class:`~serverless.invocations.attempts.Caller`.

    An attempt of a client has two rows, one of its function and one of its invoker, with the times of submission and
    answer that the keeper saw. The platform's record of the client's activation comes in the invoker's answer.
    """

    platform: Platform
    function: FunctionSpec
    relay: Relay
    run_id: str

    def params(self, work: Work, number: int) -> InvokerParams:
        """See :class:`~serverless.invocations.attempts.Caller`."""
        assert work.client_id is not None
        return self.relay.objects.invoker_params(
            work.server_round, work.client_id, number, self.function.name, work.params(number)
        )

    def invoke(self, work: Work, number: int, params: Mapping[str, Any]) -> Invocation:
        """See :class:`~serverless.invocations.attempts.Caller`."""
        assert work.client_id is not None
        submitted_at = now()
        invocation = self.platform.invoke(invoker_of(work.client_id, self.relay.limits), dict(params))
        client_s = now() - submitted_at
        answer, kind = _read(invocation.result), invocation.error_kind
        answer = answer and by_our_clock(answer, submitted_at, client_s)
        if kind is None and answer is None:
            kind = RUBBISH_ANSWER
        rows = AttemptRows(self.run_id, self.platform.name, CODE, self.relay.limits.memory_mb)
        clock = {"submitted_at": submitted_at, "client_s": client_s}
        self.relay.rows.put(rows.row(work, number, invocation, **clock, error_kind=kind, answer=answer))
        if kind or answer is None:
            words = f"its invoker: {invocation.error}"
            return Invocation(error_kind=kind, error=words, may_have_run=invocation.may_have_run)
        return _of_the_client(answer, invocation.got_over)


def _read(result: object) -> InvokerAnswer | None:
    try:
        return read_invoker_answer(result)
    except BadAnswer:
        return None


def _of_the_client(answer: InvokerAnswer, got_over: str | None) -> Invocation:
    """Return what became of the client's own activation, by its invoker's answer."""
    if record := read_record(answer.record):
        return replace(record, got_over=record.got_over or got_over)
    return Invocation(
        activation_id=answer.activation_id,
        error_kind=answer.error_kind or RUBBISH_ANSWER,
        error=f"its invoker said: {answer.reason}",
        may_have_run=answer.may_have_run,
    )
