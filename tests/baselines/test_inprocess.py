"""The bare loop takes an answer as the other backends do."""

import pytest

from baselines.inprocess import aggregate
from baselines.inprocess_worker import Answer
from metrics.collect.probe import Probe
from task.job import FederatedJob
from task.models import weights_like
from task.weights import CorruptWeights, Stamp, dumps


def test_an_update_whose_training_diverged_is_refused_by_its_client():
    weights = weights_like("mlp50")
    blob = dumps(weights, Stamp(2, 5, 1, 600))
    answer = Answer(5, blob, None, 600, float("nan"), Probe().report())
    with pytest.raises(CorruptWeights, match="client 5 is refused: train_loss is nan: the client's training diverged"):
        aggregate(FederatedJob(model="mlp50"), 2, weights, [answer])
