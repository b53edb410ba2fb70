"""What a deployment allows, as far as it tells, against what the experiment needs.

A client can learn limits in three places (apache/openwhisk): ``GET /namespaces/_/limits`` (``Limits.scala``; memory in
MB, time in ms, since 2022; before that only the three rates), the ``limits`` of ``GET /`` (``Controller.scala``; bytes
and ms, of the system), and the error of a ``PUT`` that breaks one. The last is the judge: :mod:`.probe` is put with the
functions' own limits. The size of a payload and of code are told nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from machine.json_values import is_number
from serverless.platforms.http_api import json_of
from serverless.platforms.openwhisk.client import OpenWhiskClient
from serverless.preflight.connection import ask
from serverless.preflight.findings import Finding, failed, ok, warning
from serverless.settings import ServerlessSettings

MEMORY, TIME, RATE, AT_ONCE = "memory", "time", "rate", "at once"
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """A namespace's limits; ``None`` is one that the deployment does not tell."""

    memory_mb: int | None = None
    timeout_s: float | None = None
    invocations_per_minute: int | None = None
    concurrent_invocations: int | None = None


def learn(client: OpenWhiskClient) -> Limits:
    """Ask the namespace, and the system for what the namespace does not tell."""
    own = json_of(client.call("GET", "limits"))
    system = _of_system(client)
    milliseconds = _first(own.get("maxActionTimeout"), system.get("max_action_duration"))
    size = system.get("max_action_memory")
    memory_mb = _first(own.get("maxActionMemory"), size / _MIB if is_number(size) else None)
    return Limits(
        memory_mb=memory_mb,
        timeout_s=None if milliseconds is None else milliseconds / 1000,
        invocations_per_minute=_first(own.get("invocationsPerMinute"), system.get("actions_per_minute")),
        concurrent_invocations=_first(own.get("concurrentInvocations"), system.get("concurrent_actions")),
    )


def _of_system(client: OpenWhiskClient) -> Mapping[str, Any]:
    try:
        answer = ask("GET", f"{client.api_host}/", client.settings.ca_file, verify=client.settings.verify_tls)
        limits = json_of(answer).get("limits")
    except requests.RequestException:
        return {}  # many deployments serve something else there
    return limits if isinstance(limits, Mapping) else {}


def _first(*values: object) -> int | None:
    return next((int(value) for value in values if is_number(value)), None)


def judge(limits: Limits, settings: ServerlessSettings, clients_per_round: int) -> Iterator[Finding]:
    """Yield a finding for each limit; a limit that is not told is left to the probe."""
    functions = [spec for spec in (settings.client, settings.aggregator, settings.invoker) if spec]
    yield _size(
        MEMORY, max(f.memory_mb for f in functions), limits.memory_mb, "MB", "memory_mb", "limits.actions.memory.max"
    )
    yield _size(
        TIME, max(f.timeout_s for f in functions), limits.timeout_s, "s", "timeout_s", "limits.actions.time.max"
    )
    each = 2 if settings.invoker else 1  # a client, and an invoker that waits for it
    in_flight, clients = each * settings.in_flight, each * clients_per_round
    yield _rate(limits.invocations_per_minute, in_flight, clients)
    yield _at_once(limits.concurrent_invocations, min(in_flight, clients))


def _size(check: str, need: float, allowed: float | None, unit: str, key: str, chart: str) -> Finding:
    if allowed is None:
        return ok(check, f"{need:g} {unit} needed; the deployment does not tell its limit, the probe will")
    if need > allowed:
        advice = (
            f"raise the deployment's limit (whisk.{chart} of its Helm chart), or lower platform.client.{key} and "
            f"platform.aggregator.{key}"
        )
        return failed(check, f"{need:g} {unit} needed, {allowed:g} {unit} allowed", advice)
    return ok(check, f"{need:g} {unit} needed, {allowed:g} {unit} allowed")


def _rate(allowed: int | None, in_flight: int, clients: int) -> Finding:
    """A round has an invocation of each client, and the aggregator's; how long each takes is not known here."""
    a_round, advice = clients + 1, "raise it (whisk.limits.actionsInvokesPerminute of the Helm chart)"
    if allowed is None:
        return warning(RATE, "the deployment does not tell its invocations a minute", "look at its configuration")
    if allowed >= a_round * 2:  # two rounds within one calendar minute: more is quicker than this learning is
        return ok(RATE, f"{a_round} invocations a round, {allowed} a minute allowed")
    if allowed <= min(in_flight, clients):
        return failed(RATE, f"{min(in_flight, clients)} invocations leave at once, {allowed} a minute allowed", advice)
    longest_s = 60 * in_flight / allowed
    found = (
        f"{a_round} invocations a round, {allowed} a minute allowed: with {in_flight} in flight, invocations that take "
        f"less than {longest_s:.3g} s each are throttled"
    )
    return warning(RATE, found, f"{advice}, or lower platform.in_flight")


def _at_once(allowed: int | None, need: int) -> Finding:
    if allowed is None:
        return warning(AT_ONCE, "the deployment does not tell how many may run at once", "look at its configuration")
    if need > allowed:
        advice = "raise it (whisk.limits.actionsInvokesConcurrent of the Helm chart), or lower platform.in_flight"
        return failed(AT_ONCE, f"{need} invocations in flight, {allowed} at once allowed", advice)
    return ok(AT_ONCE, f"{need} invocations in flight, {allowed} at once allowed")
