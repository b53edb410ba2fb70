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
from serverless.invocations.attempts import Attempted, Work
from serverless.invocations.dispatcher import Task
from serverless.invocations.fedkeeper import Relay, RelayedInvoker, deploy_invokers, invoker_name
from serverless.invocations.recovery import NotedInvoker
from serverless.platforms.protocol import FunctionSpec, Invocation, Platform, PlatformError
from serverless.platforms.settings import PlatformSettings
from serverless.register.clients import Register
from task.models import EngineName


@dataclass(frozen=True)
class Site:
    """An open platform with its clients."""

    settings: SiteSettings
    platform: Platform
    clients: range

    def invoker(
        self,
        run_id: str,
        register: Register,
        cpu_enforcement: str | None,
        *,
        in_fabric: bool,
        relay: Relay | None = None,
    ) -> NotedInvoker:
        """Return what invokes its clients."""
        outlives_keeper = getattr(self.settings.platform, "api_host", None) is not None
        group = self.settings.group
        limited = {"cpu_share": group.cpu_share, "cpu_share_by": cpu_enforcement} if group.cpu_share else {}
        known = {"fabric_group": group.name, **limited} if in_fabric else {}
        mine = self.platform, self.settings.client, run_id, register, outlives_keeper, known
        return RelayedInvoker(*mine, relay=relay) if relay else NotedInvoker(*mine)


@dataclass(frozen=True)
class Distant:
    """A platform at a distance: requests and answers are late by so many seconds, by the keeper's clock alone."""

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
    invokers: dict[str, NotedInvoker]

    @property
    def function(self) -> FunctionSpec:
        """The client function; its limits differ by site."""
        return next(iter(self.invokers.values())).function

    def attempt(self, work: Work, number: int, unheard: Iterable[int] = ()) -> Attempted:
        """See :class:`~serverless.invocations.attempts.Invoker`."""
        return self._of(work).attempt(work, number, unheard)

    def unanswered(self, work: Work, number: int, submitted_at: float) -> InvocationRow:
        """See :class:`~serverless.invocations.attempts.Invoker`."""
        return self._of(work).unanswered(work, number, submitted_at)

    def picked_up(self, works: Iterable[Work], written: Iterable[InvocationRow]) -> list[Task]:
        """See :class:`~serverless.invocations.recovery.NotedInvoker`."""
        over, all_works = list(written), list(works)
        by_client = {
            task.work.client_id: task
            for invoker in self.invokers.values()
            for task in invoker.picked_up([work for work in all_works if self._of(work) is invoker], over)
        }
        return [by_client[work.client_id] for work in all_works]

    def _of(self, work: Work) -> NotedInvoker:
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
    sites: dict[str, Site], aggregator: FunctionSpec, at: str, engine: EngineName, invoker: FunctionSpec | None = None
) -> None:
    """Bring the functions to the sites: the client to each, with its clients' invokers, the aggregator to one.

    Parameters
    ----------
    invoker
        Limits of the functions that invoke a client each; ``None``: there are none.
    """
    for name, site in sites.items():
        if invoker:
            deploy_invokers(site.platform, site.clients, invoker)
        site.platform.deploy(replace(site.settings.client, engine=engine))
        if name == at:
            site.platform.deploy(replace(aggregator, engine=engine))


def remove_invokers(sites: dict[str, Site]) -> None:
    """Take the clients' invokers from real platforms again: a namespace is not left with a hundred of them."""
    for site in sites.values():
        if site.settings.platform.api_host is not None:
            with suppress(PlatformError):  # the run is over, and none the worse for it
                for client_id in site.clients:
                    site.platform.remove(invoker_name(client_id))


def router(
    settings: FabricSettings, sites: dict[str, Site], run_id: str, register: Register, relay: Relay | None = None
) -> Router:
    """Return what invokes each client on its site, after having put all of them into the register."""
    for site in sites.values():
        register.enrol(site.clients)
    by, in_fabric = settings.cpu_enforcement, len(sites) > 1
    invokers = {
        name: site.invoker(run_id, register, by, in_fabric=in_fabric, relay=relay) for name, site in sites.items()
    }
    return Router(settings.fabric, invokers)
