"""The invoker function of FedKeeper's topology: read the global weights, hand them on, invoke one client, and wait.

After M. Chadha, A. Jindal, M. Gerndt: "Towards Federated Learning using FaaS Fabric", WoSC 2020. A payload of OpenWhisk
holds 1 MB, less than a model: so the copy of the weights that the client gets goes through the object store. It knows
no platform: a thin wrapper gives it what invokes a client. It imports no numerical library, to fit in 128 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metrics.collect.probe import WorkerProcess
from serverless.functions.messages import ClientCall, ClientParams, InvokerAnswer, InvokerParams
from serverless.functions.transfer import deliver, fetch

InvokeClient = Callable[[str, ClientParams], ClientCall]


def handle(params: InvokerParams, worker: WorkerProcess, invoke: InvokeClient) -> dict[str, Any]:
    """Have one client trained; return an :class:`~serverless.functions.messages.InvokerAnswer` as JSON types.

    Parameters
    ----------
    invoke
        Calls the client function by its name with its parameters, and waits for its end.

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
    called = invoke(params["function"], params["params"])
    return InvokerAnswer(**vars(called), bytes_in=moved, bytes_out=moved, work=probe.report()).to_dict()
