"""How fast a local platform is made to be, so that one machine can stand for several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Pace:
    """The speed of a local platform's containers.

    Parameters
    ----------
    cpu_share
        Of a core that each container may have; ``None``: as much as there is.
    cpu_enforcement
        ``cgroup``: a quota of the kernel. ``simulated``: answers wait. ``auto``: the first of these that works.
    cold_start_delay_s
        Seconds that the start of a container takes longer than it does here.
    """

    cpu_share: float | None = None
    cpu_enforcement: Literal["auto", "cgroup", "simulated"] = "auto"
    cold_start_delay_s: float = 0.0

    def for_emulator(self) -> dict[str, Any]:
        """Return the settings of an embedded server that it stands for."""
        return {
            "cpu_share": self.cpu_share,
            "cpu_enforcement": self.cpu_enforcement,
            "cold_start_delay_s": self.cold_start_delay_s or None,
        }
