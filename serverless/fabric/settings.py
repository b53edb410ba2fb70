"""How each group of a fabric is reached, and the limits of its functions."""

from __future__ import annotations

from dataclasses import dataclass

from serverless.fabric.groups import Fabric, Group
from serverless.platforms.protocol import FunctionSpec
from serverless.platforms.settings import PlatformSettings


@dataclass(frozen=True)
class SiteSettings:
    """One platform of a run: which group's, how it is reached, and the limits of the client function there."""

    group: Group
    platform: PlatformSettings
    client: FunctionSpec

    @property
    def longest_s(self) -> float:
        """How long an answer may take, at most."""
        return self.client.timeout_s + self.platform.request_timeout_s


@dataclass(frozen=True)
class FabricSettings:
    """A fabric and a platform for each of its groups, in their order.

    ``cpu_enforcement`` is how shares of a core are enforced on local platforms: ``cgroup`` or ``simulated``.
    """

    fabric: Fabric
    sites: tuple[SiteSettings, ...]
    cpu_enforcement: str | None = None
