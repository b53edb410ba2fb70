"""The invoker function of FedKeeper's topology: read the global weights, hand them on, invoke one client, and wait.

After M. Chadha, A. Jindal, M. Gerndt: "Towards Federated Learning using FaaS Fabric", WoSC 2020. A payload of OpenWhisk
holds 1 MB, less than a model: so the copy of the weights that the client gets goes through the object store. It knows
no platform: a thin wrapper gives it what invokes a client. It imports the standard library only, to fit in 128 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metrics.collect.probe import WorkerProcess
from serverless.functions.transfer import deliver, fetch

InvokeClient = Callable[[str, dict[str, Any]], dict[str, Any]]


def handle(params: dict[str, Any], worker: WorkerProcess, invoke: InvokeClient) -> dict[str, Any]:
    """Have one client trained.

    Parameters
    ----------
    params
        ``function``, the client function's name; ``params``, what it is called with; ``weights_url``, where the global
        weights are, and ``copy_url``, where the client's copy of them goes.
    worker
        This process.
    invoke
        From the name and the parameters of the client function to what became of its activation.

    Returns
    -------
    dict
        What ``invoke`` returned, with ``bytes_in``, ``bytes_out`` and ``work``, the probe's report.

    Raises
    ------
    serverless.functions.transfer.TransferError
        If the weights cannot be read or written.
    """
    probe = worker.probe()
    with probe.phase("fetch"):
        weights = fetch(params["weights_url"])
    with probe.phase("store"):
        deliver(params["copy_url"], weights)
    moved = len(weights)
    del weights  # the wait is long, and memory is what it is billed by
    told = invoke(params["function"], params["params"])
    return {**told, "bytes_in": moved, "bytes_out": moved, "work": probe.report().to_dict()}
