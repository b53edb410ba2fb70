"""The bare loop takes an answer as the other backends do."""

from concurrent.futures import Future

import numpy as np
import pytest

from baselines.inprocess import _round, aggregate
from baselines.inprocess_worker import Answer
from metrics.collect.probe import Probe
from metrics.collect.recorder import Recorder
from metrics.collect.row_files import read_run
from task.job import FederatedJob
from task.models import weights_like
from task.weights import CorruptWeights, Stamp, dumps


def test_an_update_whose_training_diverged_is_refused_by_its_client():
    weights = weights_like("mlp50")
    blob = dumps(weights, Stamp(2, 5, 1, 600))
    answer = Answer(5, blob, None, 600, float("nan"), Probe().report())
    with pytest.raises(CorruptWeights, match="client 5 is refused: train_loss is nan: the client's training diverged"):
        aggregate(FederatedJob(model="mlp50"), 2, weights, [answer])


@pytest.mark.parametrize(
    ("value", "loss", "words"),
    [
        (3e38, 1.0, "its norm is .*, more than max_update_norm=1000"),
        (0.0, float("nan"), "train_loss is nan"),
        (float("inf"), 1.0, "a value that is not finite"),
    ],
)
def test_a_refused_update_leaves_a_row_and_so_do_the_others(tmp_path, value, loss, words):
    job = FederatedJob(model="mlp50", clients=3, clients_per_round=3)
    start = weights_like(job.model)

    class Pool:
        def submit(self, _, __, ___, client, *____):
            arrays = {name: np.full_like(array, value if client == 1 else 0.0) for name, array in start.items()}
            blob = dumps(arrays, Stamp(1, client, 1, 600))
            done = Future()
            done.set_result(Answer(client, blob, None, 600, loss if client == 1 else 1.0, Probe().report()))
            return done

    with pytest.raises(CorruptWeights, match=f"round 1: the update of client 1 is refused: .*{words}"):
        _round(job, None, 1, start, {}, {}, None, Pool(), Recorder("run", tmp_path))
    rows = read_run(tmp_path, "invocations").to_pandas().sort_values("client_id")
    assert rows["client_id"].tolist() == [0, 1, 2]
    assert rows["status"].tolist() == ["success", "failed", "success"]
    assert rows["error_kind"].dropna().tolist() == ["corrupt update"]
