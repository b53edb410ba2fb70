"""A fabric: one federation whose clients run on several platforms, in groups of equal speed and distance.

After M. Chadha, A. Jindal, M. Gerndt: "Towards Federated Learning using FaaS Fabric", WoSC 2020, where 3 clients ran on
boards at the edge, 7 on OpenWhisk and 90 on Google Cloud Functions.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate


class FabricError(ValueError):
    """A fabric that no federation can run on."""


@dataclass(frozen=True)
class Group:
    """Clients that run on one platform in the same way.

    Parameters
    ----------
    name
        What tables and figures call it.
    platform
        Name of its platform, as in :mod:`serverless.platforms`.
    clients
        How many it has.
    memory_mb
        Memory limit of its client functions, MiB.
    cpu_share
        Share of a core, in (0, 1]; ``None`` leaves it to the platform. A local platform enforces it by a cgroup or
        simulates it; a real platform ignores it.
    network_delay_s
        Seconds that are added to the way of each request and of each answer; local platforms only.
    cold_start_delay_s
        Seconds that are added to the start of a container, as for the pull of an image; local platforms only.
    """

    name: str
    platform: str
    clients: int
    memory_mb: int
    cpu_share: float | None = None
    network_delay_s: float = 0.0
    cold_start_delay_s: float = 0.0


@dataclass(frozen=True)
class Fabric:
    """The groups of a federation; clients belong to them in the order of their ids.

    Parameters
    ----------
    aggregator
        Name of the group on whose platform the updates are averaged.

    Raises
    ------
    FabricError
        If there are no groups, two of one name, or none that ``aggregator`` names.

    Examples
    --------
    >>> edge, cloud = Group("edge", "openfaas", 3, 1024), Group("cloud", "google", 90, 2048)
    >>> fabric = Fabric("two", (edge, cloud), aggregator="cloud")
    >>> [fabric.group_of(client).name for client in (0, 2, 3, 92)]
    ['edge', 'edge', 'cloud', 'cloud']
    """

    name: str
    groups: tuple[Group, ...]
    aggregator: str

    def __post_init__(self) -> None:
        names = [group.name for group in self.groups]
        if len(set(names)) < len(names) or not names:
            raise FabricError(
                f"fabric {self.name}: groups must have names of their own, and there must be one: {names}"
            )
        if self.aggregator not in names:
            raise FabricError(f"fabric {self.name}: aggregator={self.aggregator!r} names none of {', '.join(names)}")

    @property
    def clients(self) -> int:
        """How many clients all groups have."""
        return sum(group.clients for group in self.groups)

    @property
    def aggregators(self) -> Group:
        """The group on whose platform the aggregator runs."""
        return next(group for group in self.groups if group.name == self.aggregator)

    def group_of(self, client_id: int) -> Group:
        """Return a client's group; raises :class:`FabricError` if there is no such client."""
        if not 0 <= client_id < self.clients:
            raise FabricError(f"fabric {self.name} has no client {client_id}: it has {self.clients}, from 0 on")
        ends = list(accumulate(group.clients for group in self.groups))
        return self.groups[bisect_right(ends, client_id)]
