"""How a federation of functions is run, as opposed to what it learns."""

from __future__ import annotations

from dataclasses import dataclass, field

from serverless.cluster.settings import ClusterSettings
from serverless.fabric.groups import Fabric, Group
from serverless.fabric.settings import FabricSettings, SiteSettings
from serverless.invocations.dispatcher import Retries
from serverless.platforms.protocol import FunctionSpec
from serverless.platforms.settings import PlatformSettings
from serverless.register.database import RegisterSettings
from serverless.rounds.round_policies import RoundPolicy, WaitAll
from serverless.storage import StoreSettings
from task.data import DataSettings


@dataclass(frozen=True)
class ServerlessSettings:
    """How a federation of functions is run.

    Parameters
    ----------
    platform
        Where the functions run.
    store
        Where weights and data wait between the keeper and the functions.
    data
        Where the keeper finds the images; it puts each client's part into the store once.
    client, aggregator
        The functions' limits.
    in_flight
        Client invocations of a round that are outstanding at once; those of stragglers come on top. Where all are
        waited for, as many as the platform can run: more would wait in its queue and, on the embedded server, push the
        aggregator's idle container out of the pool. Where not, all that are selected.
    policy
        When a round is closed.
    retries
        How often a piece of work is tried before it counts as failed.
    grant_s
        How long a presigned URL is valid, seconds; longer than the longest wait for a function.
    cluster
        The cluster whose pods are watched; ``None``: no cluster.
    register
        Where the clients and the last request to each are noted.
    invoker
        Limits of the functions that invoke a client each, in FedKeeper's topology; ``None``: the keeper invokes
        clients itself.
    fabric
        Several platforms with their groups of clients, in place of ``platform`` and ``client``; ``None``: all clients
        are on ``platform``.
    """

    platform: PlatformSettings
    store: StoreSettings
    data: DataSettings
    client: FunctionSpec
    aggregator: FunctionSpec
    in_flight: int = 2
    policy: RoundPolicy = field(default_factory=WaitAll)
    retries: Retries = field(default_factory=Retries)
    grant_s: int = 3600
    cluster: ClusterSettings | None = None
    register: RegisterSettings = field(default_factory=RegisterSettings)
    invoker: FunctionSpec | None = None
    fabric: FabricSettings | None = None

    def placed(self, clients: int) -> FabricSettings:
        """Return where so many clients are: on a fabric, or all on the one platform."""
        if self.fabric is not None:
            return self.fabric
        all_of_them = Group(self.platform.name, self.platform.name, clients, self.client.memory_mb)
        fabric = Fabric("none", (all_of_them,), aggregator=all_of_them.name)
        return FabricSettings(fabric, (SiteSettings(all_of_them, self.platform, self.client),))
