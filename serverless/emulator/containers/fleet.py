"""Gives requests to the containers of functions that are HTTP servers, out of the one pool."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from typing import cast

from serverless.emulator.containers.container import ContainerGoneError
from serverless.emulator.containers.http_container import LOG_BYTES, Reply, Request, Service, ServiceContainer
from serverless.emulator.containers.pool import ContainerPool

log = logging.getLogger(__name__)


class NoInstanceError(Exception):
    """All containers that a function may have are busy."""


class Fleet:
    """Lends the containers of the pool, one request at a time, up to a function's ``max_instances``.

    Parameters
    ----------
    pool
        Where the containers come from, all platforms' together.
    until_ready
        Waits until a container that was just started answers; raises the same as :meth:`ServiceContainer.send`.
    """

    def __init__(self, pool: ContainerPool, until_ready: Callable[[ServiceContainer], Awaitable[None]]) -> None:
        self._pool = pool
        self._until_ready = until_ready
        self._lent: Counter[int] = Counter()  # by revision, those that the pool still looks for included
        self._busy: defaultdict[int, list[ServiceContainer]] = defaultdict(list)
        self._freed = asyncio.Condition()

    def instances(self, service: Service) -> int:
        """Return how many containers of a function work now."""
        return len(self._busy[service.revision])

    async def send(self, service: Service, request: Request, timeout_s: float | None, wait_s: float) -> Reply:
        """Let a free container of ``service`` answer, a new one if there is none.

        Parameters
        ----------
        timeout_s
            Of the request once a container has it; a new one's start is not counted.
        wait_s
            How long to wait for a container when all that the function may have are busy.

        Raises
        ------
        NoInstanceError
            If all are busy and stay so.
        ContainerGoneError, TimeoutError
            See :meth:`ServiceContainer.send`.
        OSError
            If a container cannot be started.
        PoolClosedError
            If the server ends.
        """
        await self._admit(service, wait_s)
        try:
            container = cast(ServiceContainer, await self._pool.acquire(service))
        except BaseException:
            await self._count_out(service)
            raise
        keep = False
        self._busy[service.revision].append(container)
        try:
            container.logs.begin(LOG_BYTES)
            if not container.is_initialized:
                await container.start()
                await self._until_ready(container)
                container.is_initialized = True
            reply = await container.send(request, timeout_s)
            keep = container.outlives(reply)
            return reply
        except ContainerGoneError:
            log.warning("a container of %s ended; it wrote last:\n%s", service.name, await container.last_words())
            raise
        finally:
            self._busy[service.revision].remove(container)
            self._pool.release(container, keep=keep)
            await self._count_out(service)

    async def send_to_busy(self, service: Service, request: Request, timeout_s: float | None) -> Reply:
        """Let a container answer that is at work already; it may refuse.

        Raises
        ------
        NoInstanceError
            If none is ready.
        ContainerGoneError, TimeoutError
            See :meth:`ServiceContainer.send`.
        """
        ready = [container for container in self._busy[service.revision] if container.is_initialized]
        if not ready:
            raise NoInstanceError
        return await random.choice(ready).send(request, timeout_s)

    async def _admit(self, service: Service, wait_s: float) -> None:
        def has_room() -> bool:
            return self._lent[service.revision] < service.max_instances

        try:
            async with asyncio.timeout(wait_s), self._freed:
                await self._freed.wait_for(has_room)
                self._lent[service.revision] += 1
        except TimeoutError as error:
            raise NoInstanceError from error

    async def _count_out(self, service: Service) -> None:
        self._lent[service.revision] -= 1
        async with self._freed:
            self._freed.notify_all()
