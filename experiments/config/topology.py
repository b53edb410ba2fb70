"""Who invokes the clients' functions: the keeper, or an invoker function for each of them."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.config.errors import wrong
from experiments.config.platform import FABRIC
from experiments.config.schema import ExperimentConfig
from machine.resources import usable_memory_bytes
from serverless.platforms.protocol import FunctionSpec
from serverless.platforms.registry import platforms


def topology_problems(config: ExperimentConfig, in_flight: int) -> Iterator[str]:
    """Yield a line for each thing that keeps clients from being invoked as ``config`` says.

    Parameters
    ----------
    in_flight
        Client invocations of a round that are outstanding at once.
    """
    topology, has_invokers = config.topology, config.topology.name == "fedkeeper"
    for key in ("invoker_memory_mb", "invoker_timeout_s"):
        value = getattr(topology, key)
        if (value is not None) != has_invokers:
            only = f"is for topology=fedkeeper, and needed there; here topology.name={topology.name}"
            yield wrong(f"topology.{key}", value, only)
    if has_invokers:
        yield from _backend_problems(config)
        yield from _limit_problems(config, in_flight)


def _backend_problems(config: ExperimentConfig) -> Iterator[str]:
    able = [name for name, platform in platforms().items() if platform.functions_may_invoke]
    others = [backend for backend in config.backends if backend in (*platforms(), FABRIC) and backend not in able]
    if others or not set(able).intersection(config.backends):
        instead = f"not {' and '.join(others)}" if others else "which is not among them"
        allowed = f"topology=fedkeeper is for {' or '.join(able)}, whose functions can invoke others, {instead}"
        yield wrong("backends", config.backends, allowed)
    if config.round_policy.name != "wait_all":
        allowed = "topology=fedkeeper waits for all clients of a round, as FedKeeper does; use round_policy=wait_all"
        yield wrong("round_policy.name", config.round_policy.name, allowed)


def _limit_problems(config: ExperimentConfig, in_flight: int) -> Iterator[str]:
    """Yield a line for invokers that end before their clients, and for a pool that is too small for both."""
    timeout_s, least_s = config.topology.invoker_timeout_s, config.platform.client.timeout_s
    if timeout_s is not None and timeout_s < least_s:
        allowed = f"must be platform.client.timeout_s={least_s:g} at least, because an invoker waits for its client"
        yield wrong("topology.invoker_timeout_s", timeout_s, allowed)
    given = config.platform.pool_memory_mb
    each = (config.topology.invoker_memory_mb or 0) + config.platform.client.memory_mb
    if given is not None and given < in_flight * each:
        needed = f"{in_flight} invocations outstanding at once need {in_flight * each} MB, an invoker and a client each"
        yield wrong("platform.pool_memory_mb", given, f"{needed}: name more, or null")


def invoker_spec(config: ExperimentConfig) -> FunctionSpec | None:
    """Return the limits of invokers; ``None`` if there are none."""
    memory_mb, timeout_s = config.topology.invoker_memory_mb, config.topology.invoker_timeout_s
    return None if memory_mb is None or timeout_s is None else FunctionSpec("invoker", memory_mb, timeout_s)


def invokers_mb(config: ExperimentConfig, in_flight: int, others_mb: int, share: float) -> int:
    """Return the memory of the embedded server's pool for invokers, MiB.

    Each client has an invoker of its own, which stays warm as on a platform that is large enough: the pool has memory
    for all of them as far as the machine has it, and for twice as many as are busy at once in any case, so that a new
    one takes the place of an idle one of its kind and not of a client's or the aggregator's.

    Parameters
    ----------
    others_mb
        What the other functions have.
    share
        Of the machine's memory, for all containers together.
    """
    memory_mb = config.topology.invoker_memory_mb
    if memory_mb is None:
        return 0
    free_mb = int(share * usable_memory_bytes()) // 2**20 - others_mb
    count = max(2 * in_flight, min(config.clients, free_mb // memory_mb))
    return count * memory_mb
