"""Kills at random moments of runs whose rounds close after the first k updates: nothing is lost, nothing doubled."""

import random
import time

import pytest

from experiments.config.backend_settings import job_of
from experiments.config.compose import compose_cells
from metrics.collect.tables import load
from task.data import load_images
from tests.support.replay import counted, replay

pytestmark = [pytest.mark.server, pytest.mark.training, pytest.mark.fault, pytest.mark.usefixtures("nothing_survives")]

KILLS, ROUNDS = 3, 30
WORDS = (
    "backends=[openwhisk]",
    "model=mlp50",
    "clients=5",
    "clients_per_round=4",
    "batch_size=500",
    f"rounds={ROUNDS}",
    "round_policy=first_k",
    "round_policy.k=2",
    "platform.client.memory_mb=256",
    "platform.aggregator.memory_mb=256",
)


@pytest.mark.parametrize("seed", [2])
def test_killed_at_any_moment_it_goes_on_with_the_updates_that_it_had_counted(
    start, run, wait_for_rounds, child_of, nothing_survives, mnist_settings, tmp_path, seed
):
    rng = random.Random(seed)
    words = (*WORDS, f"seeds=[{seed}]", "out=broken")
    whole = 0
    for kill in range(KILLS):
        process = start(*words)
        folder = wait_for_rounds(tmp_path / "broken", whole + 1, process)
        time.sleep(rng.uniform(0, 0.3))  # anywhere in a round
        (child_of(process) if kill % 2 else process).kill()
        process.wait(timeout=60)
        nothing_survives()
        whole = (folder / "rounds.jsonl").read_text().count("\n")
    code, said = run(*words)
    assert code == 0, said

    tables = load(tmp_path / "broken")
    assert tables["runs"].resumes.tolist() == [KILLS]
    assert tables["rounds"].sort_values("server_round").server_round.tolist() == list(range(1, ROUNDS + 1))
    assert not tables["invocations"].duplicated(["part", "server_round", "function", "client_id", "attempt"]).any()
    took_part = counted(tables["invocations"], range(1, ROUNDS + 1))
    assert all(len(set(clients)) == len(clients) for clients in took_part)
    assert {len(clients) for clients in took_part} == {2}
    assert tables["rounds"].sort_values("server_round").updates.tolist() == [len(clients) for clients in took_part]

    (cell,) = compose_cells(["+exp=smoke", *words])
    job = job_of(cell.config, seed)
    hashes = replay(job, load_images("mnist", mnist_settings), took_part)
    assert tables["rounds"].sort_values("server_round").weights_sha256.tolist() == hashes
    assert tables["runs"].final_weights_sha256.tolist() == [hashes[-1]]
