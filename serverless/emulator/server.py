"""Puts a server together, and takes it apart again so that nothing is left."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from serverless.emulator.containers.cpu_shares import cpu_enforcer
from serverless.emulator.containers.host import ContainerHost
from serverless.emulator.containers.http_container import new_container
from serverless.emulator.containers.memory_limits import memory_enforcer
from serverless.emulator.containers.pool import ContainerPool
from serverless.emulator.front import refuse_other_names
from serverless.emulator.platform_apis import APIS
from serverless.emulator.settings import EmulatorSettings
from serverless.emulator.shared import Shared

_DIRECTORY_PREFIX = "fl-emulator-"


@dataclass(frozen=True)
class Serving:
    """A server that answers.

    Parameters
    ----------
    api_host
        Its address, e.g. ``http://127.0.0.1:41233``.
    memory_enforcement
        What holds containers to their memory: ``cgroup-v1``, ``cgroup-v2`` or ``watchdog``.
    addresses
        The address of each platform's API; ``api_host`` is the first of them.
    """

    api_host: str
    memory_enforcement: str
    addresses: dict[str, str]


@asynccontextmanager
async def serve(
    settings: EmulatorSettings, auth: str, host: str, port: int, platforms: Sequence[str] = ("openwhisk",)
) -> AsyncIterator[Serving]:
    """Serve until the context ends; then end all containers.

    Parameters
    ----------
    settings
        Limits and pool.
    auth
        The key ``uuid:key`` that the APIs accept.
    host, port
        Where to listen; port 0 takes a free one. The API of every platform but the first takes a free one too.
    platforms
        Names in :data:`serverless.emulator.platform_apis.APIS`.

    Raises
    ------
    OSError
        If the address cannot be bound, or the memory enforcement that is asked for is not to be had.
    """
    listeners = {name: _listen(host, port if name == platforms[0] else 0) for name in platforms}
    addresses = {name: _address(host, listener) for name, listener in listeners.items()}
    api_host = addresses[platforms[0]]
    memory = memory_enforcer(settings.memory_enforcement)
    cpu = cpu_enforcer(settings.cpu_enforcement, settings.cpu_share, memory)
    directory = _make_directory()
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=settings.destroy_after_s)
    async with aiohttp.ClientSession(connector=connector) as http:
        containers = ContainerHost(settings, memory, cpu, http, directory, api_host)
        pool = ContainerPool(settings, lambda workload: new_container(containers, workload))
        shared = Shared(settings, auth, pool, http, directory)
        apis = {name: APIS[name](shared, addresses[name]) for name in platforms}
        for api in apis.values():
            api.middlewares.insert(0, refuse_other_names)
        runners = {name: web.AppRunner(api, access_log=None, shutdown_timeout=1.0) for name, api in apis.items()}
        try:
            for name, runner in runners.items():
                await runner.setup()
                await web.SockSite(runner, listeners[name]).start()
            yield Serving(api_host, memory.name, addresses)
        finally:
            await asyncio.gather(*(site.stop() for runner in runners.values() for site in list(runner.sites)))
            await pool.close()
            await asyncio.gather(*(runner.cleanup() for runner in runners.values()))
            await cpu.close()
            await memory.close()
            shutil.rmtree(directory, ignore_errors=True)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def _address(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if listener.family == socket.AF_INET6 else host
    return f"http://{shown}:{listener.getsockname()[1]}"


def _make_directory() -> Path:
    """Make the directory of the containers' working directories, and remove those of servers that were killed."""
    for abandoned in Path(tempfile.gettempdir()).glob(f"{_DIRECTORY_PREFIX}*-*"):
        pid = abandoned.name.removeprefix(_DIRECTORY_PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            shutil.rmtree(abandoned, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_DIRECTORY_PREFIX}{os.getpid()}-"))
