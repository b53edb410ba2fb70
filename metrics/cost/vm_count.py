"""How many machines a policy needs, and what they cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from metrics.cost.functions import Floats, billed_seconds
from metrics.cost.prices import Billing, VmPrice


def vm_count(clients: ArrayLike, clients_per_round: ArrayLike, billing: Billing) -> Floats:
    """Return the machines that the clients of runs are given.

    Examples
    --------
    >>> [vm_count(100, 15, Billing(policy=policy)).tolist() for policy in ("per_client", "per_selected", "packed")]
    [100.0, 15.0, 8.0]
    """
    everyone, selected = np.asarray(clients, dtype=np.float64), np.asarray(clients_per_round, dtype=np.float64)
    if billing.policy == "per_client":
        return everyone
    if billing.policy == "per_selected":
        return selected
    return np.ceil(selected / billing.clients_per_vm)


def slots(clients_per_round: ArrayLike, billing: Billing, vm: VmPrice) -> Floats:
    """Return how many of the selected clients these machines train at once, with one thread each."""
    selected = np.asarray(clients_per_round, dtype=np.float64)
    if billing.policy != "packed":
        return selected
    return vm_count(selected, selected, billing) * min(billing.clients_per_vm, vm.vcpus)


def vm_usd(machines: ArrayLike, seconds: ArrayLike, price: VmPrice) -> Floats:
    """Return ``n_vm * billed seconds * price of an hour / 3600``: machines held for ``seconds``, busy or not."""
    billed = billed_seconds(seconds, price.quantum_s, price.minimum_s)
    costs: Floats = np.asarray(machines, dtype=np.float64) * billed * price.per_hour / 3600
    return costs
