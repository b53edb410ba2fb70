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
from metrics.collect.probe import WorkReport
from metrics.collect.row_types import InvocationRow
from serverless.invocations.answers import RUBBISH_ANSWER, BadAnswer, check_invoker_answer
from serverless.invocations.attempts import Attempted, Invoker, Work
from serverless.invocations.recovery import NotedInvoker
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
class RelayedInvoker(NotedInvoker):
    """A :class:`~serverless.invocations.recovery.NotedInvoker` by which each client is invoked by its own invoker.

    An attempt of a client has two rows, one of its function and one of its invoker, with the times of submission and
    answer that the keeper saw. What the platform says of the client's activation comes in the invoker's answer.
    """

    relay: Relay = field(kw_only=True)

    def attempt(self, work: Work, number: int, unheard: Iterable[int] = ()) -> Attempted:
        """See :class:`~serverless.invocations.attempts.Invoker`."""
        client_id = work.client_id
        assert client_id is not None

        def params(attempt: int) -> dict[str, Any]:
            mine = work.params(attempt)
            relayed = self.relay.objects.relayed_params(work.server_round, client_id, mine, attempt)
            return {"function": self.function.name, **relayed}

        return super().attempt(replace(work, params=params), number, unheard)

    def _invoke(self, work: Work, number: int, params: dict[str, Any]) -> Invocation:
        assert work.client_id is not None
        invoker = Invoker(self.platform, invoker_of(work.client_id, self.relay.limits), self.run_id)
        submitted_at = now()
        told = self.platform.invoke(invoker.function, params)
        clock, report, kind = (submitted_at, now() - submitted_at), _report(told), told.error_kind
        if kind is None and report is None:
            kind = RUBBISH_ANSWER
        row = invoker._row(work, number, told, kind, report, clock)
        self.relay.rows.put(replace(row, function=CODE, num_examples=None))
        return _of_the_client(told, kind)


def _report(told: Invocation) -> WorkReport | None:
    try:
        return check_invoker_answer(told.result)
    except BadAnswer:
        return None


def _of_the_client(told: Invocation, kind: str | None) -> Invocation:
    """Return what became of the client's own activation, as its invoker tells it."""
    answer: Mapping[str, Any] = told.result or {}
    if kind:
        return Invocation(error_kind=kind, error=f"its invoker: {told.error}", may_have_run=told.may_have_run)
    if record := read_record(answer.get("record")):
        return replace(record, got_over=record.got_over or told.got_over)
    return Invocation(
        activation_id=_text(answer.get("activation_id")),
        error_kind=_text(answer.get("error_kind")) or RUBBISH_ANSWER,
        error=f"its invoker said: {answer.get('error')}",
        may_have_run=answer.get("may_have_run") is not False,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
