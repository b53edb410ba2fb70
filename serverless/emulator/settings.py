"""What an embedded server allows and how it treats its containers."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

MemoryEnforcement = Literal["auto", "cgroup", "watchdog"]
CpuEnforcement = Literal["auto", "cgroup", "simulated"]

MIB = 1024 * 1024


@dataclass(frozen=True)
class EmulatorSettings:
    """Limits and pool of one embedded server.

    The defaults are OpenWhisk's own (apache/openwhisk 1fae641: ``application.conf`` of common, controller and
    invoker, ``standalone.conf`` for the two rates). Training with TensorFlow needs more memory, as it does on a
    real deployment.

    Parameters
    ----------
    pool_memory_mb
        Sum of the memory limits of all containers that may exist at once, MiB.
    memory_min_mb, memory_max_mb, memory_default_mb
        Range and default of an action's memory limit, MiB.
    timeout_min_ms, timeout_max_ms, timeout_default_ms
        Range and default of an action's time limit, milliseconds; it applies to initialisation and to the run
        each.
    logs_max_mb, logs_default_mb
        Largest and default log limit of an action, MiB; 0 collects no logs.
    max_payload_bytes, max_result_bytes, max_parameters_bytes, max_code_bytes
        Largest request of an invocation, largest result, parameters or annotations of an action, and code.
    invocations_per_minute
        Invocations that a calendar minute accepts.
    concurrent_invocations
        Activations that may be queued or running at once.
    action_concurrency_max
        Largest concurrency limit of an action. It is kept and shown; a container still takes one activation at a time.
    blocking_wait_s
        Longest that a blocking call is kept waiting before it is answered with 202, seconds.
    request_timeout_s
        Longest that the body of a request may take to arrive before it is answered with 408, seconds; the default is
        that of nginx, the front of a cluster.
    pause_after_s, destroy_after_s
        Idle seconds after which a container is stopped (SIGSTOP), and ended.
    pending_s
        Google only: seconds until a request without an instance is answered with 429 (Cloud Run: 10 at least).
    activations_kept
        How many of the newest records are kept; a real deployment keeps all until its database is pruned.
    memory_enforcement
        ``cgroup`` (fails to start where cgroups are not writable), ``watchdog`` (reads the resident set of the
        container's process every 50 ms), or ``auto``: the first of these that works here.
    cpu_share, cpu_enforcement
        Of a core that a container may have, ``None``: as much as there is; and how it is held to it, see
        :mod:`serverless.emulator.containers.cpu_shares`.
    cold_start_delay_s
        Seconds that the start of a container takes longer than it does here, as for the pull of an image.
    python
        The interpreter that containers run: its packages are the runtime image.
    container_env
        Environment variables added to every container, e.g. ``{"OMP_NUM_THREADS": "1"}``.
    """

    pool_memory_mb: int = 1024
    memory_min_mb: int = 128
    memory_max_mb: int = 512
    memory_default_mb: int = 256
    timeout_min_ms: int = 100
    timeout_max_ms: int = 300_000
    timeout_default_ms: int = 60_000
    logs_max_mb: int = 10
    logs_default_mb: int = 10
    max_payload_bytes: int = MIB
    max_result_bytes: int = MIB
    max_parameters_bytes: int = MIB
    max_code_bytes: int = 48 * MIB
    invocations_per_minute: int = 60
    concurrent_invocations: int = 30
    action_concurrency_max: int = 1
    request_timeout_s: float = 60.0
    blocking_wait_s: float = 60.0
    pause_after_s: float = 10.0
    destroy_after_s: float = 600.0
    pending_s: float = 10.0
    activations_kept: int = 50_000
    memory_enforcement: MemoryEnforcement = "auto"
    cpu_share: float | None = None
    cpu_enforcement: CpuEnforcement = "auto"
    cold_start_delay_s: float | None = None
    python: str = sys.executable
    container_env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.to_dict().items():
            if isinstance(value, int | float) and value < (0 if name.startswith("logs_") else 1e-3):
                raise ValueError(f"emulator setting {name}={value}: must be greater than 0")
        for low, default, high in (
            ("memory_min_mb", "memory_default_mb", "memory_max_mb"),
            ("timeout_min_ms", "timeout_default_ms", "timeout_max_ms"),
            ("logs_default_mb", "logs_default_mb", "logs_max_mb"),
            ("memory_max_mb", "memory_max_mb", "pool_memory_mb"),
        ):
            if not getattr(self, low) <= getattr(self, default) <= getattr(self, high):
                names = tuple(dict.fromkeys((low, default, high)))
                values = ", ".join(f"{name}={getattr(self, name)}" for name in names)
                raise ValueError(f"emulator settings must keep {' <= '.join(names)}, got {values}")
        if self.memory_enforcement not in ("auto", "cgroup", "watchdog"):
            raise ValueError(
                f"emulator setting memory_enforcement={self.memory_enforcement!r}: "
                "allowed are auto, cgroup and watchdog"
            )
        if not all(isinstance(text, str) for pair in self.container_env.items() for text in pair):
            raise ValueError("emulator setting container_env must map names to texts, e.g. {'OMP_NUM_THREADS': '1'}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> EmulatorSettings:
        """Build settings from a JSON object; what it leaves out keeps its default.

        Raises
        ------
        ValueError
            If ``text`` is not a JSON object, has an unknown key, or a value that is not allowed.
        """
        values = json.loads(text)
        known = {setting.name: setting.default for setting in fields(cls)}
        if not isinstance(values, dict):
            raise ValueError("emulator settings must be a JSON object")
        if unknown := sorted(values.keys() - known):
            raise ValueError(f"unknown emulator setting(s) {', '.join(unknown)}; known: {', '.join(known)}")
        for name, value in values.items():
            default = known[name]
            if isinstance(default, int | float) and not _is_number(value, whole=isinstance(default, int)):
                kind = "whole number" if isinstance(default, int) else "number"
                raise ValueError(f"emulator setting {name}={value!r}: must be a {kind}")
        return cls(**values)


def _is_number(value: object, *, whole: bool) -> bool:
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool)
