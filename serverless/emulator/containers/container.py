"""The server's end of a container: an operating-system process that runs the action proxy."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from machine.handover import TOKEN_HEADER, piped
from serverless.emulator.containers.cpu_shares import CpuShare
from serverless.emulator.containers.host import ContainerHost
from serverless.emulator.containers.logs import ContainerLogs
from serverless.emulator.containers.memory_limits import MemoryLimit
from serverless.emulator.containers.workload import Workload
from serverless.emulator.settings import MIB

_PROXY = Path(__file__).with_name("action_proxy.py")


class ContainerGoneError(Exception):
    """The container's process ended instead of answering."""


@dataclass(frozen=True)
class Answer:
    """What the action proxy answered; ``length`` in bytes is more than ``body`` where that was cut."""

    status: int
    body: bytes
    length: int


class Container(asyncio.SubprocessProtocol):
    """One container: started, initialised once, run many times, stopped while idle, destroyed.

    It serves the one revision of the one action that it was started for.
    """

    def __init__(self, host: ContainerHost, action: Workload) -> None:
        self._host = host
        self.action = action
        self.is_initialized = False
        self.is_paused = False
        self.logs = ContainerLogs()
        self._exited = asyncio.Event()
        self._is_killed = False
        self._token = secrets.token_urlsafe(24)
        self._home = host.directory / f"{action.name}-{uuid.uuid4().hex[:8]}"
        self._limit: MemoryLimit | None = None
        self._share: CpuShare | None = None
        self._transport: asyncio.SubprocessTransport | None = None

    async def start(self) -> None:
        """Start the process.

        Raises
        ------
        OSError
            If it cannot be started.
        """
        host, home = self._host, self._home
        home.mkdir()
        self._limit = host.memory.create(home.name, self.action.limits.memory * MIB)
        self._share = host.cpu.create(home.name)
        await asyncio.sleep(host.settings.cold_start_delay_s or 0.0)
        with socket.create_server(("127.0.0.1", 0)) as listener, piped(self._token) as token:
            # The listening socket is handed down: the first request waits in its queue until the program is up. Its
            # connection exists before the program can choose, and without this each answer on it would take 40 ms.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self._transport, _ = await asyncio.get_running_loop().subprocess_exec(
                lambda: self,
                *map(str, self._command(listener.fileno())),
                stdin=token,
                cwd=home,
                env=host.environment(self.action, home) | self._environment(),
                pass_fds=(listener.fileno(),),
                start_new_session=True,
            )
        self._limit.admit(self._transport.get_pid())
        self._share.admit(self._transport.get_pid())
        if self._is_killed:
            self._signal(signal.SIGKILL)

    def _command(self, listening_fd: int) -> tuple[object, ...]:
        """Return the program that a container runs, and its arguments: it serves an inherited listening socket."""
        return self._host.settings.python, "-P", _PROXY, listening_fd, os.getpid()

    def _environment(self) -> dict[str, str]:
        """Return what that program finds in its environment, beside what every container does."""
        return {}

    @property
    def _allowed(self) -> dict[str, str]:
        """The header without which the container's program answers nobody; it has the token from its standard input."""
        return {TOKEN_HEADER: self._token}

    @property
    def is_started(self) -> bool:
        """Whether the process was started; it may have ended since."""
        return self._transport is not None

    @property
    def is_alive(self) -> bool:
        """Whether the process runs (or is stopped)."""
        return self._transport is not None and not self._exited.is_set()

    async def post(self, path: str, body: Mapping[str, Any], timeout_s: float) -> Answer:
        """Send a request to the action proxy.

        Raises
        ------
        ContainerGoneError
            If the process ended instead of answering.
        TimeoutError
            If there was no answer within ``timeout_s``.
        """
        maximum = self._host.settings.max_result_bytes
        started_at = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        url, headers = self._url + path, self._allowed
        try:
            async with self._host.http.post(
                url, json=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                kept, length = bytearray(), 0
                async for chunk in response.content.iter_any():
                    length += len(chunk)
                    kept += chunk[: maximum - len(kept)]
                await self.wait_for_its_share(started_at)
                return Answer(response.status, bytes(kept), length)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise ContainerGoneError from error

    async def wait_for_its_share(self, started_at: float) -> None:
        """Delay an answer until it took as long as it would have on the container's share of a core.

        Parameters
        ----------
        started_at
            When the request was sent, by :func:`time.monotonic`.
        """
        if self._share:
            await asyncio.sleep(self._share.owed_s(time.monotonic() - started_at))

    def memory_exhausted(self) -> bool:
        """Whether the container was killed for its memory."""
        return self._limit is not None and self._limit.exhausted()

    def pause(self) -> None:
        """Stop the process: it keeps its memory and gets no more CPU time."""
        self.is_paused = True
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        if self.is_paused:
            self.is_paused = False
            self._signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End the process and those that it started; its logs can still be collected."""
        self._is_killed = True
        if self._transport:
            self._signal(signal.SIGKILL)
            await self._exited.wait()

    async def destroy(self) -> None:
        """End the container, and remove its limits and its folder."""
        await self.kill()
        if self._transport:
            self._transport.close()
        if self._share:
            await self._share.remove()
        if self._limit:
            await self._limit.remove()
        await asyncio.to_thread(shutil.rmtree, self._home, ignore_errors=True)

    def _signal(self, number: int) -> None:
        if self._transport:
            with suppress(ProcessLookupError):  # its group, in which the processes it started are as well
                os.killpg(self._transport.get_pid(), number)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take what the function wrote."""
        self.logs.feed(fd, data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Take the end of a stream."""
        self.logs.close(fd)

    def process_exited(self) -> None:
        """Note the end of the process."""
        self._exited.set()
