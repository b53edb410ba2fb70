"""The row of a run in ``runs``: composed from the files of its folder, so that a killed run gets one too."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from pathlib import Path

from experiments.runs.resume import add_up, earlier_parts
from experiments.runs.run_files import THREADS_PER_CLIENT, Outcome, RunFile, rounds_of
from experiments.runs.supervisor import Ended
from machine.foreign_texts import plain
from metrics.collect.cluster_facts import read_cluster
from metrics.collect.row_files import read_run
from metrics.collect.row_types import PROCESSES, RunRow
from task.job import PoisonSpec, StrategySpec
from task.states import kept_states


def judge(directory: Path, ended: Ended | None) -> RunRow:
    """Compose the row of a run that is over; of one that was resumed, over all its parts.

    Parameters
    ----------
    directory
        The run's own folder, with its ``run.json``.
    ended
        What its supervisor saw; ``None`` if the supervisor was gone. Then the run counts as interrupted, its end is the
        time of its last sample or round, and its CPU time is unknown.
    """
    run = RunFile.read(directory)
    job, outcome, ended_at = run.job, _outcome(directory, ended), _end(run, directory, ended)
    rounds = rounds_of(directory)
    now = [row for row in rounds if row.part == run.part]  # of this part
    accuracies = [row.test_accuracy for row in rounds]
    reached = (row.server_round for row in rounds if job.reached(row.test_accuracy))
    row = RunRow(
        run_id=run.run_id,
        experiment=run.experiment,
        backend=run.backend,
        **asdict(run.placement),
        **asdict(run.turn),
        seed=job.seed,
        status=outcome.status,
        error=None if outcome.error is None else plain(outcome.error),
        model=job.model,
        optimizer=job.optimizer,
        learning_rate=job.learning_rate,
        batch_size=job.batch_size,
        local_epochs=job.local_epochs,
        clients=job.clients,
        clients_per_round=job.clients_per_round,
        max_rounds=job.rounds,
        target_accuracy=job.target_accuracy,
        optimizer_state=job.optimizer_state,
        strategy=_given(job.strategy),
        kept_states=json.dumps(kept_states(job)),
        max_update_norm=job.max_update_norm,
        poison=_given(job.poison) if job.poison.share else None,
        partition=job.partition.scheme,
        **asdict(run.identity),
        final_weights_sha256=outcome.final_weights_sha256,
        rounds=len(rounds),
        best_test_accuracy=max(accuracies, default=None),
        final_test_accuracy=accuracies[-1] if accuracies else None,
        rounds_to_target=next(reached, None),
        started_at=run.started_at,
        setup_s=(now[0].started_at if now else ended_at) - run.started_at,
        learning_s=sum(row.round_s for row in now),
        teardown_s=ended_at - (now[-1].started_at + now[-1].round_s) if now else 0.0,
        wall_s=ended_at - run.started_at,  # between two rounds nothing else is counted
        cpu_s=None if ended is None else ended.cpu_s,
        sampled_cpu_s=None if ended is None else ended.sampled_cpu_s,
        sampler_cpu_s=None if ended is None else ended.sampler_cpu_s,
        peak_total_rss_bytes=_sampled_peak(directory) if ended is None else ended.peak_total_rss_bytes,
        threads_per_client=THREADS_PER_CLIENT,
        **asdict(run.provenance),
        config=json.dumps(run.config, sort_keys=True),
        cluster=read_cluster(directory),
    )
    return add_up(row, earlier_parts(directory, run))


def _given(spec: StrategySpec | PoisonSpec) -> str:
    return json.dumps({key: value for key, value in asdict(spec).items() if value is not None})


def _outcome(directory: Path, ended: Ended | None) -> Outcome:
    """Return how a run ended: as it reports itself, unless it was asked to stop or reports nothing."""
    own = Outcome.read(directory)
    if own is not None and own.status == "success":
        return own
    error = None if own is None else own.error
    if ended is None:
        return Outcome("interrupted", error or "the process that watched it was gone")
    if ended.stopped:
        return Outcome("interrupted", error or "it had to be killed after it was asked to stop")
    if own is not None:
        return own
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        hint = "; was there too little memory?" if name == "SIGKILL" else ""
        return Outcome("failed", f"its process was killed by {name}{hint}")
    return Outcome("failed", f"its process ended with code {ended.returncode} and without a report of how it ended")


def _end(run: RunFile, directory: Path, ended: Ended | None) -> float:
    if ended is not None:
        return ended.ended_at
    samples: list[float] = [row["sampled_at"] for row in read_run(directory, "samples").to_pylist()]
    rounds = [row.started_at + row.round_s for row in rounds_of(directory) if row.part == run.part]
    return max((run.started_at, *samples, *rounds))


def _sampled_peak(directory: Path) -> int | None:
    sums: dict[float, int] = {}
    rows = read_run(directory, "samples").to_pylist()
    for row in (row for row in rows if row["source"] == PROCESSES):
        sums[row["sampled_at"]] = sums.get(row["sampled_at"], 0) + row["rss_bytes"]
    return max(sums.values(), default=None)
