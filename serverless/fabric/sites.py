"""The platforms that a run's clients are on: one, or those of a fabric; each client's work goes to its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metrics.collect.row_types import InvocationRow
from serverless.fabric.groups import Fabric
from serverless.fabric.settings import FabricSettings, SiteSettings
from serverless.invocations.attempt_rows import AttemptRows
from serverless.invocations.attempts import Attempted, Caller, DirectCaller, Invoker
from serverless.invocations.fedkeeper import Relay, RelayedCaller, deploy_invokers, invoker_name
from serverless.invocations.journal import Journal
from serverless.invocations.work import Work
from serverless.platforms.protocol import FunctionSpec, Invocation, Platform, PlatformError
from serverless.platforms.settings import PlatformSettings
from task.models import EngineName


@dataclass(frozen=True)
class Site:
    """An open platform with its clients."""

    settings: SiteSettings
    platform: Platform
    clients: range


@dataclass(frozen=True)
class Distant:
    """A platform at a distance: requests and answers take so many seconds longer, by the keeper's clock alone."""

    near: Platform
    delay_s: float

    @property
    def name(self) -> str:
        """See :class:`~serverless.platforms.protocol.Platform`."""
        return self.near.name

    def deploy(self, function: FunctionSpec) -> None:
        """See :class:`~serverless.platforms.protocol.Platform`."""
        self.near.deploy(function)

    def remove(self, name: str) -> None:
        """See :class:`~serverless.platforms.protocol.Platform`."""
        self.near.remove(name)

    def functions(self) -> tuple[str, ...]:
        """See :class:`~serverless.platforms.protocol.Platform`."""
        return self.near.functions()

    def invoke(self, function: FunctionSpec, params: dict[str, Any]) -> Invocation:
        """See :class:`~serverless.platforms.protocol.Platform`."""
        time.sleep(self.delay_s)
        invocation = self.near.invoke(function, params)
        time.sleep(self.delay_s)
        return invocation


@dataclass(frozen=True)
class Router:
    """Invokes each client on its own site: :class:`~serverless.invocations.dispatcher.Attempts` for a dispatcher."""

    fabric: Fabric
    invokers: dict[str, Invoker]

    @property
    def function(self) -> FunctionSpec:
        """The client function; its limits differ by site."""
        return next(iter(self.invokers.values())).function

    def attempt(self, work: Work, number: int, unheard: Iterable[int] = ()) -> Attempted:
        """See :class:`~serverless.invocations.attempts.Invoker`."""
        return self.invoker_of(work).attempt(work, number, unheard)

    def unanswered(self, work: Work, number: int, submitted_at: float) -> InvocationRow:
        """See :class:`~serverless.invocations.attempts.Invoker`."""
        return self.invoker_of(work).unanswered(work, number, submitted_at)

    def invoker_of(self, work: Work) -> Invoker:
        """Return what invokes the work's client."""
        return self.invokers[self.fabric.group_of(work.client_id or 0).name]


def open_sites(
    settings: FabricSettings,
    directory: Path,
    stack: ExitStack,
    open_platform: Callable[[PlatformSettings, Path], AbstractContextManager[Platform]],
) -> dict[str, Site]:
    """Open every platform of a run for the time of ``stack``, by group; clients are numbered in the groups' order."""
    sites, first = {}, 0
    for site in settings.sites:
        group = site.group
        log = directory / ("emulator.log" if len(settings.sites) == 1 else f"emulator-{group.name}.log")
        platform = stack.enter_context(open_platform(site.platform, log))
        far = Distant(platform, group.network_delay_s) if group.network_delay_s else platform
        sites[group.name] = Site(site, far, range(first, first + group.clients))
        first += group.clients
    return sites


def deploy(
    sites: dict[str, Site],
    aggregator: FunctionSpec,
    at: str,
    engine: EngineName,
    store: str,
    invoker: FunctionSpec | None = None,
) -> None:
    """Bring the functions to the sites: the client to each, with its clients' invokers, the aggregator to one.

    Parameters
    ----------
    store
        Address of the run's object store, see :func:`serverless.storage.address`.
    invoker
        Limits of the functions that invoke a client each; ``None``: there are none.
    """
    for name, site in sites.items():
        if invoker:
            deploy_invokers(site.platform, site.clients, replace(invoker, store=store))
        site.platform.deploy(replace(site.settings.client, engine=engine, store=store))
        if name == at:
            site.platform.deploy(replace(aggregator, engine=engine, store=store))


def remove_invokers(sites: dict[str, Site]) -> None:
    """Take the clients' invokers from real platforms again: a namespace is not left with a hundred of them."""
    for site in sites.values():
        if site.settings.platform.api_host is not None:
            with suppress(PlatformError):  # the run is over: its result does not depend on this
                for client_id in site.clients:
                    site.platform.remove(invoker_name(client_id))


def router(
    settings: FabricSettings, sites: dict[str, Site], run_id: str, journal: Journal, relay: Relay | None = None
) -> Router:
    """Return what invokes each client on its site.

    Parameters
    ----------
    relay
        The invoker functions that invoke the clients; ``None``: the keeper does.
    """
    invokers: dict[str, Invoker] = {}
    for name, site in sites.items():
        function, group = site.settings.client, site.settings.group
        caller: Caller = DirectCaller(site.platform, function)
        if relay:
            caller = RelayedCaller(site.platform, function, relay, run_id)
        rows = AttemptRows(run_id, site.platform.name, function.name, function.memory_mb)
        if len(sites) > 1:
            share_by = settings.cpu_enforcement if group.cpu_share else None
            rows = replace(rows, fabric_group=group.name, cpu_share=group.cpu_share or None, cpu_share_by=share_by)
        outlives_s = function.timeout_s if site.settings.platform.api_host is not None else 0.0
        invokers[name] = Invoker(function, caller, rows, journal, outlives_s)
    return Router(settings.fabric, invokers)
