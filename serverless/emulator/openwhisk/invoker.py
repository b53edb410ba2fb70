"""Runs activations: takes a container from the pool, initialises it, runs the action and makes the record."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from machine.clocks import now
from serverless.emulator.containers.container import Container, ContainerGoneError
from serverless.emulator.containers.pool import ContainerPool, PoolClosedError
from serverless.emulator.openwhisk import messages, outcome
from serverless.emulator.openwhisk.activations import DEVELOPER_ERROR, WHISK_ERROR, Activation, Response
from serverless.emulator.openwhisk.invocation import Invocation
from serverless.emulator.settings import MIB

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Timed:
    """How a call into a container ended, and when; seconds since the epoch by :func:`machine.clocks.now`."""

    start_at: float
    end_at: float
    response: Response | None  # None: an initialisation that went well
    init_s: float | None = None
    timed_out: bool = False


class Invoker:
    """Turns invocations into activation records.

    Parameters
    ----------
    pool
        Where the containers come from.
    """

    def __init__(self, pool: ContainerPool) -> None:
        self._pool = pool

    async def run(self, invocation: Invocation) -> Activation:
        """Run an activation to its end; an error of its function is in the record, and is not raised."""
        try:
            container = await self._pool.acquire(invocation.action)
        except PoolClosedError:
            return _not_run(invocation, messages.ABNORMAL_RUN)
        keep = False
        try:
            container.logs.begin(invocation.action.limits.logs * MIB)
            if not container.is_started:
                await container.start()
            record = await _run_in(container, invocation)
            keep = record.response.status_code < DEVELOPER_ERROR
            if not keep:
                await container.kill()  # ends its streams, so that its last lines can be collected
            return replace(record, logs=await container.logs.collect(developer_error=not keep))
        except OSError:
            log.exception("no container for %s", invocation.action.path)
            return _not_run(invocation, messages.NO_RESOURCES)
        finally:
            self._pool.release(container, keep=keep)


async def _run_in(container: Container, invocation: Invocation) -> Activation:
    if container.is_initialized:
        return _record(invocation, await _call(container, "/run", invocation))
    init = await _call(container, "/init", invocation)
    init_s = init.end_at - init.start_at
    if init.response is not None:
        return _record(invocation, replace(init, init_s=init_s))
    container.is_initialized = True
    run = await _call(container, "/run", invocation)
    return _record(invocation, replace(run, start_at=run.start_at - init_s, init_s=init_s))


async def _call(container: Container, path: str, invocation: Invocation) -> _Timed:
    limit_ms = invocation.action.limits.timeout
    during_init = path == "/init"
    body: Mapping[str, Any] = invocation.init_body() if during_init else invocation.run_body()
    timed_out = False
    start_at = now()
    response: Response | None
    try:
        answer = await container.post(path, body, limit_ms / 1000)
        response = outcome.of_init(answer) if during_init else outcome.of_run(answer)
    except TimeoutError:
        timed_out = True
        response = outcome.timed_out(limit_ms, during_init=during_init)
    except ContainerGoneError:
        response = outcome.gone(memory_exhausted=container.memory_exhausted(), during_init=during_init)
    return _Timed(start_at, now(), response, timed_out=timed_out)


def _record(invocation: Invocation, timed: _Timed) -> Activation:
    assert timed.response is not None
    return Activation(
        activation_id=invocation.activation_id,
        action=invocation.action,
        start=int(timed.start_at * 1000),
        end=int(timed.end_at * 1000),
        wait_time=int((timed.start_at - invocation.arrived_at) * 1000),
        response=timed.response,
        init_time=None if timed.init_s is None else int(timed.init_s * 1000),
        timed_out=timed.timed_out,
        binding=invocation.binding,
    )


def _not_run(invocation: Invocation, error: str) -> Activation:
    moment = now()
    return _record(invocation, _Timed(moment, moment, Response.error(WHISK_ERROR, error)))
