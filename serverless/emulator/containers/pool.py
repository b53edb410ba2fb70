"""The pool of containers: who runs an activation, within a memory budget."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from serverless.emulator.containers.container import Container
from serverless.emulator.containers.workload import Workload
from serverless.emulator.settings import EmulatorSettings


class PoolClosedError(Exception):
    """The server is ending."""


@dataclass(frozen=True)
class _Waiting:
    action: Workload
    container: asyncio.Future[Container]


@dataclass(frozen=True)
class _Idle:
    container: Container
    timers: tuple[asyncio.TimerHandle, ...]

    @property
    def memory_mb(self) -> int:
        return self.container.action.limits.memory


class ContainerPool:
    """Hands out containers, first come, first served, as OpenWhisk's invoker does.

    An activation gets the first of these that there is: an idle container of its action's revision; a new one, if its
    memory limit fits into the budget; a new one in place of the least recently used idle ones. Else it waits, and so do
    those behind it. Idle containers are paused after a while, and destroyed after a longer one. The budget counts a
    container until its process has ended.

    Parameters
    ----------
    settings
        The budget and the two times.
    new_container
        Makes a container that has not been started.
    """

    def __init__(self, settings: EmulatorSettings, new_container: Callable[[Workload], Container]) -> None:
        self._settings = settings
        self._new_container = new_container
        self._waiting: deque[_Waiting] = deque()
        self._idle: list[_Idle] = []  # the least recently used first
        self._busy: set[Container] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._used_mb = 0
        self._ending_mb = 0  # the part of the used that will soon be free
        self._is_closed = False

    async def acquire(self, action: Workload) -> Container:
        """Return a container for ``action`` that is the caller's until :meth:`release`; a new one is not started.

        Raises
        ------
        PoolClosedError
            If the server ends meanwhile.
        """
        if self._is_closed:
            raise PoolClosedError
        waiting = _Waiting(action, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._dispatch()
        return await waiting.container

    def release(self, container: Container, *, keep: bool) -> None:
        """Give a container back, to be kept warm or to be destroyed."""
        self._busy.discard(container)
        if keep and container.is_alive and not self._is_closed:
            self._idle.append(_Idle(container, self._timers(container)))
        else:
            self._end(container)
        self._dispatch()

    async def close(self) -> None:
        """Destroy every container; activations that wait or run end now."""
        self._is_closed = True
        while self._waiting:
            self._waiting.popleft().container.set_exception(PoolClosedError())
        for idle in list(self._idle):
            self._retire(idle)
        while self._busy or self._tasks:
            await asyncio.gather(*(container.kill() for container in self._busy), *self._tasks)
            await asyncio.sleep(0)  # the activation of a killed container gives it back

    def _dispatch(self) -> None:
        for idle in [idle for idle in self._idle if not idle.container.is_alive]:
            self._retire(idle)
        while self._waiting:
            action = self._waiting[0].action
            container = self._warm(action) or self._fresh(action)
            if container is None:
                return
            self._busy.add(container)
            self._waiting.popleft().container.set_result(container)

    def _warm(self, action: Workload) -> Container | None:
        for idle in reversed(self._idle):  # the most recently used, so that the others can grow old
            if idle.container.action.revision == action.revision:
                self._unlist(idle)
                idle.container.resume()
                return idle.container
        return None

    def _fresh(self, action: Workload) -> Container | None:
        missing_mb = self._used_mb + action.limits.memory - self._settings.pool_memory_mb
        if missing_mb <= 0:
            self._used_mb += action.limits.memory
            return self._new_container(action)
        missing_mb -= self._ending_mb
        if missing_mb <= sum(idle.memory_mb for idle in self._idle):
            while missing_mb > 0:
                missing_mb -= self._idle[0].memory_mb
                self._retire(self._idle[0])
        return None

    def _retire(self, idle: _Idle) -> None:
        self._unlist(idle)
        self._end(idle.container)

    def _unlist(self, idle: _Idle) -> None:
        self._idle.remove(idle)
        for timer in idle.timers:
            timer.cancel()

    def _end(self, container: Container) -> None:
        self._ending_mb += container.action.limits.memory
        self._watch(self._finish(container))

    def _watch(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, container: Container) -> None:
        await container.kill()
        self._used_mb -= container.action.limits.memory
        self._ending_mb -= container.action.limits.memory
        self._dispatch()
        await container.destroy()  # the files that it leaves behind take no memory: no activation waits for them

    def _timers(self, container: Container) -> tuple[asyncio.TimerHandle, ...]:
        def destroy() -> None:
            self._retire(next(idle for idle in self._idle if idle.container is container))

        loop = asyncio.get_running_loop()
        return (
            loop.call_later(self._settings.pause_after_s, container.pause),
            loop.call_later(self._settings.destroy_after_s, destroy),
        )
