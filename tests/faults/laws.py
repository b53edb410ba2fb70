"""What must hold of a run, whatever went wrong in it."""

from __future__ import annotations

import pandas as pd

from metrics.analysis.checks.rules import RULES
from serverless.invocations.attempts import NOT_SENT, STORE_UNREACHABLE
from serverless.rounds.round_policies import RoundPolicy
from task.data import Images
from task.job import FederatedJob
from tests.faults.world import JOB, Day
from tests.support.replay import replay

NEVER_SENT = ("unreachable", STORE_UNREACHABLE, NOT_SENT)


def assert_nothing_was_lost_or_doubled(day: Day, mnist: Images, policy: RoundPolicy, job: FederatedJob = JOB) -> None:
    """Hold a run to all laws: of its tables, its policy, its weights, the platform and the store."""
    assert_the_tables_agree(day, policy, job)
    assert_learnt_from_its_participants(day, mnist, job)
    assert len(day.invocations[~day.invocations.error_kind.isin(NEVER_SENT)]) == day.sent
    assert day.left == []


def assert_learnt_from_its_participants(day: Day, mnist: Images, job: FederatedJob = JOB) -> None:
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
    for law in RULES:
        if law.table in ("rounds", "invocations"):
            broken = tables[law.table][law.broken(tables)]
            assert broken.empty, f"{law.text}:\n{broken.to_string()}"


def attempts_of(day: Day, function: str, client: int | None = None) -> pd.DataFrame:
    """Return the attempts at the first round's work of one client, or the aggregator."""
    rows = day.invocations[(day.invocations.function == function) & (day.invocations.server_round == 1)]
    return rows if client is None else rows[rows.client_id == client]
