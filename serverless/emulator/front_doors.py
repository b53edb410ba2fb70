"""The front doors of an embedded server: one per platform, all to the one pool of containers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from serverless.emulator.containers.container import Container
from serverless.emulator.containers.host import ContainerHost
from serverless.emulator.containers.http_container import (
    FrameworkContainer,
    Service,
    ServiceContainer,
    WatchdogContainer,
)
from serverless.emulator.containers.pool import ContainerPool
from serverless.emulator.containers.workload import Workload
from serverless.emulator.google.api import make_google
from serverless.emulator.google.functions import Functions as GoogleFunctions
from serverless.emulator.openfaas.functions import Functions as OpenFaasFunctions
from serverless.emulator.openfaas.gateway import make_gateway
from serverless.emulator.openwhisk.api.app import make_app
from serverless.emulator.openwhisk.controller import Controller
from serverless.emulator.openwhisk.invoker import Invoker
from serverless.emulator.settings import EmulatorSettings

_KINDS: dict[str, type[ServiceContainer]] = {"openfaas": WatchdogContainer, "google": FrameworkContainer}


@dataclass(frozen=True)
class House:
    """What the front doors of a server share.

    Parameters
    ----------
    settings, auth
        Limits, and the key that opens every door.
    pool, http, directory
        The containers, the client for them, and where code is unpacked.
    """

    settings: EmulatorSettings
    auth: str
    pool: ContainerPool
    http: aiohttp.ClientSession
    directory: Path


def new_container(host: ContainerHost, workload: Workload) -> Container:
    """Return a container, not started, of the kind that ``workload`` needs."""
    if isinstance(workload, Service):
        return _KINDS[workload.platform](host, workload)
    return Container(host, workload)


def _openwhisk(house: House, address: str) -> web.Application:
    return make_app(Controller(house.settings, Invoker(house.pool), house.auth))


def _openfaas(house: House, address: str) -> web.Application:
    functions = OpenFaasFunctions(house.settings, house.pool, house.directory / "openfaas-images")
    return make_gateway(functions, house.settings, house.auth, house.http)


def _google(house: House, address: str) -> web.Application:
    functions = GoogleFunctions(house.settings, house.pool, house.directory / "google-sources", address)
    return make_google(functions, house.settings, house.auth)


DOORS: dict[str, Callable[[House, str], web.Application]] = {
    "openwhisk": _openwhisk,
    "openfaas": _openfaas,
    "google": _google,
}
