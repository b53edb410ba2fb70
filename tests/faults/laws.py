"""What must hold of a run, whatever went wrong in it."""

from __future__ import annotations

import pandas as pd

from metrics.laws import LAWS
from serverless.policies import RoundPolicy
from task.aggregation import StreamingAverage
from task.data import Mnist
from task.job import FederatedJob
from task.models import initial_weights
from task.partition import make_partition
from task.training import local_update
from task.weights import Weights, sha256
from tests.faults.world import JOB, Day

NOT_SENT = ("unreachable", "store unreachable")


class Untimed:
    """A stopwatch for work that nobody times."""

    def phase(self, name: str) -> Untimed:
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def replay(job: FederatedJob, mnist: Mnist, participants: list[tuple[int, ...]]) -> list[str]:
    """Learn with these clients in these rounds, without any system around it; return the hash after each round."""
    weights, hashes = initial_weights(job.model, job.seed), []
    partition = make_partition(job, mnist.train_labels)
    for server_round, clients in enumerate(participants, start=1):
        average = StreamingAverage()
        for client in clients:
            mine = partition.indices[client]
            images, labels = mnist.train_images[mine], mnist.train_labels[mine]
            update = local_update(job, client, server_round, weights, images, labels, None, Untimed())
            average.add(update.weights, update.num_examples)
        weights: Weights = average.result()
        hashes.append(sha256(weights))
    return hashes


def assert_nothing_was_lost_or_doubled(day: Day, mnist: Mnist, policy: RoundPolicy, job: FederatedJob = JOB) -> None:
    """Hold a run to all laws: of its tables, its policy, its weights, the platform and the store."""
    assert_the_tables_agree(day, policy, job)
    assert_learnt_from_its_participants(day, mnist, job)
    assert len(day.invocations[~day.invocations.error_kind.isin(NOT_SENT)]) == day.sent
    assert day.left == []


def assert_learnt_from_its_participants(day: Day, mnist: Mnist, job: FederatedJob = JOB) -> None:
    """Hold the weights of every round to those of its participants, averaged afresh."""
    assert day.rounds.weights_sha256.tolist() == replay(job, mnist, day.participants)
    assert day.final_sha256 == day.rounds.weights_sha256.iloc[-1]


def assert_the_tables_agree(day: Day, policy: RoundPolicy, job: FederatedJob = JOB) -> None:
    """Hold a run to the laws of the tables and of its policy."""
    assert day.rounds.server_round.tolist() == list(range(1, job.rounds + 1))
    for clients in day.participants:
        assert len(set(clients)) == len(clients) >= policy.needs(job.clients_per_round)
    runs = day.rounds[["run_id"]].drop_duplicates().assign(status="success", resumes=day.rounds["part"].max())
    tables = {"runs": runs, "rounds": day.rounds, "invocations": day.invocations}
    for law in LAWS:
        if law.table != "runs":
            broken = tables[law.table][law.broken(tables)]
            assert broken.empty, f"{law.text}:\n{broken.to_string()}"


def attempts_of(day: Day, function: str, client: int | None = None) -> pd.DataFrame:
    """Return the attempts at the first round's work of one client, or the aggregator."""
    rows = day.invocations[(day.invocations.function == function) & (day.invocations.server_round == 1)]
    return rows if client is None else rows[rows.client_id == client]
