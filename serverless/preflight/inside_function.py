"""What the probe sees from inside a function: the image, the store, and the clock."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from typing import cast

from metrics.collect.units import memory, seconds
from serverless.functions.messages import PreflightAnswer
from serverless.platforms.function_zip import IMPORTED
from serverless.platforms.protocol import FunctionSpec, Invocation
from serverless.preflight.findings import Finding, failed, ok, warning
from serverless.preflight.probe import Probe
from serverless.storage import ObjectMissing, ObjectStore
from task.job import FederatedJob
from task.models import EngineName, weights_like
from task.strategies import bytes_in_memory

IMAGE, STORE_INSIDE, PAYLOAD, AGGREGATION = "runtime image", "store, functions", "payload", "aggregator memory"
_ENGINES = {"numpy": "threadpoolctl", "tensorflow": "tensorflow"}  # what an engine imports, and the other one does not
# What a worker took beyond its imports, at most: with TensorFlow in the kept results, with NumPy in +exp=rgg_grid.
_TRAINING_BYTES = {"numpy": 20 * 2**20, "tensorflow": 150 * 2**20}
_ADVICE = "use an image for the functions that holds the packages of this project"
_CONTENT = b"from the controller, through a function, and back"


def image(probe: Probe, function: FunctionSpec) -> Finding:
    """Whether a function can import what training needs, in the memory that it has."""
    engine = function.engine or "tensorflow"
    needed = _imported(engine)
    invocation = probe.invoke(function, imports=needed)
    if invocation.result is None:
        advice = f"if memory ran out, raise platform.client.memory_mb; else {_ADVICE}"
        return failed(IMAGE, f"the imports end with {_told(invocation)}", advice)
    answer = cast(PreflightAnswer, invocation.result)
    missing = {name: found["error"] for name, found in answer["packages"].items() if "error" in found}
    if missing:
        return failed(IMAGE, "; ".join(f"{name}: {error}" for name, error in missing.items()), _ADVICE)
    size, limit = answer["peak_memory_bytes"], function.memory_mb * 2**20
    loaded = f"{len(needed)} packages imported in {seconds(answer['import_s'])}, {memory(size)} of {memory(limit)}"
    if size + _TRAINING_BYTES[engine] > limit:
        advice = f"raise platform.client.memory_mb: training takes some {memory(_TRAINING_BYTES[engine])} more"
        return warning(IMAGE, loaded, advice)
    if other := _differences(answer):
        return warning(IMAGE, f"{loaded}; {other}", "use the same versions, or weights may differ in their last bits")
    versions = ", ".join(
        f"{name} {answer['packages'][name]['version']}" for name in ("numpy", "tensorflow") if name in needed
    )
    return ok(IMAGE, f"{loaded}; Python {answer['python']}, {versions}")


def aggregation(probe: Probe, function: FunctionSpec, aggregator: FunctionSpec, job: FederatedJob) -> Finding:
    """Whether the aggregator's memory holds its imports, the evaluation, and the updates that the strategy keeps."""
    engine = function.engine or "tensorflow"
    invocation = probe.invoke(function, imports=_imported(engine))
    if invocation.result is None:
        advice = f"if memory ran out, raise platform.client.memory_mb; else {_ADVICE}"
        return failed(AGGREGATION, f"the imports end with {_told(invocation)}", advice)
    model_bytes = sum(array.nbytes for array in weights_like(job.model).values())
    kept = bytes_in_memory(job.strategy.name, job.clients_per_round, model_bytes)
    least, limit = invocation.result["peak_memory_bytes"] + kept, aggregator.memory_mb * 2**20
    found = f"{memory(least)} of {memory(limit)}, {memory(kept)} of it for strategy={job.strategy.name}"
    advice = "raise platform.aggregator.memory_mb, lower clients_per_round, or take strategy=fedavg"
    if least > limit:
        return failed(AGGREGATION, found, advice)
    if least + _TRAINING_BYTES[engine] > limit:
        more = f"{found}; the evaluation takes some {memory(_TRAINING_BYTES[engine])} more"
        return warning(AGGREGATION, more, advice)
    return ok(AGGREGATION, found)


def _imported(engine: EngineName) -> list[str]:
    return [name for name in IMPORTED if name == _ENGINES[engine] or name not in _ENGINES.values()]


def _differences(answer: PreflightAnswer) -> str:
    """Name the packages whose versions change what is computed, and that differ from this machine's."""
    found = answer["packages"]
    there: dict[str, str] = {name: found[name]["version"] for name in ("numpy", "tensorflow") if name in found}
    here = {name: metadata.version(name) for name in there}
    there["Python"], here["Python"] = (
        ".".join(version.split(".")[:2]) for version in (answer["python"], platform.python_version())
    )
    return ", ".join(f"{name} is {there[name]} there, {here[name]} here" for name in there if there[name] != here[name])


def store(probe: Probe, function: FunctionSpec, objects: ObjectStore, grant_s: int) -> Finding:
    """Whether a function can read and write objects by URLs, without credentials."""
    objects.put("preflight/in", _CONTENT)
    get_url, put_url = objects.grant("preflight/in", "GET", grant_s), objects.grant("preflight/out", "PUT", grant_s)
    invocation = probe.invoke(function, get_url=get_url, put_url=put_url)
    advice = (
        "name the store as functions reach it with store.functions_endpoint=HOST:PORT, its authority with "
        "store.functions_ca_file, and look at the network between them"
    )
    if invocation.result is None:
        return failed(STORE_INSIDE, f"the transfer ends with {_told(invocation)}", advice)
    if error := invocation.result.get("transfer_error"):
        return failed(STORE_INSIDE, error, advice)
    try:
        arrived = objects.get("preflight/out")
    except ObjectMissing:
        arrived = b""
    if arrived != _CONTENT:
        return failed(STORE_INSIDE, "what a function wrote is not in our store: it reaches another one", advice)
    return ok(STORE_INSIDE, f"a function read and wrote an object, each by a URL good for {seconds(grant_s)}")


def payload(probe: Probe, function: FunctionSpec, needed_bytes: int) -> Finding:
    """Whether the largest call of a round, the aggregator's with a URL per client, is let through."""
    invocation = probe.invoke(function, padding="x" * max(0, needed_bytes - len(json.dumps({"padding": ""}))))
    if invocation.error_kind:
        advice = "lower clients_per_round, or raise whisk.limits.activation.payload.max of the deployment's Helm chart"
        return failed(PAYLOAD, f"{memory(needed_bytes)} end with {_told(invocation)}", advice)
    return ok(PAYLOAD, f"{memory(needed_bytes)}, the aggregator's call, got through")


def _told(invocation: Invocation) -> str:
    return f"{invocation.error_kind}: {invocation.error}" if invocation.error_kind else "no result"
