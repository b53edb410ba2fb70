"""Jobs with a server optimizer, and updates for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from task.job import FederatedJob, StrategySpec
from task.models import initial_weights
from task.weights import Weights

ADAPTIVE = {"eta": 0.1, "beta_1": 0.9, "beta_2": 0.99, "tau": 1e-3}
JOB = FederatedJob(model="mlp50")
JOBS = {
    "fedavgm": replace(JOB, strategy=StrategySpec("fedavgm", eta=0.7, momentum=0.9)),
    "fedadam": replace(JOB, strategy=StrategySpec("fedadam", **ADAPTIVE)),
    "fedyogi": replace(JOB, strategy=StrategySpec("fedyogi", **ADAPTIVE)),
}
START = initial_weights("mlp50", 0)


def near(weights: Weights, seed: int) -> Weights:
    """Weights like those that a client makes of these."""
    rng = np.random.default_rng(seed)
    return {name: (array + rng.normal(0, 0.05, array.shape)).astype(np.float32) for name, array in weights.items()}
