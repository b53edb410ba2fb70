"""The rows of the four tidy tables that a run writes: their columns, in order, with type and meaning.

Units are in the names: ``_s`` seconds, ``_bytes`` bytes; ``_at`` are seconds since the epoch. A value that was not
measured is null, never zero. ``docs/tables.md`` describes every column.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = 2  # what each version changed: metrics.collect.schema
CORRUPT_UPDATE = "corrupt update"  # error_kind, on every backend: the update must not enter the average
RUBBISH_ANSWER = "rubbish answer"  # error_kind, on every backend: the answer cannot be read
PROCESSES = "processes"  # where a sample comes from: the process tree of the machine that the run was started on


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One row per run: one backend, one seed, one resolved configuration."""

    run_id: str
    schema_version: int = SCHEMA_VERSION
    experiment: str
    backend: str
    platform: str | None  # openwhisk, or null where no FaaS platform is involved
    emulated: bool  # true if the platform was the embedded server
    runtime: str  # how the backend ran: "pool", "simulation", "deployment", "embedded", "cluster"
    store: str | None  # directory, minio, or null
    seed: int
    repeat: int = 0  # how often the same run was made before, in this experiment
    block: int | None = None  # of the experiment's order: a block holds each system once, for one seed and repeat
    place: int | None = None  # within its block; null, as block, in older rows
    status: str  # success, failed, interrupted
    error: str | None
    # what was learnt
    model: str
    optimizer: str
    learning_rate: float
    batch_size: int
    local_epochs: int
    clients: int
    clients_per_round: int
    max_rounds: int
    target_accuracy: float | None
    optimizer_state: str
    strategy: str | None = None  # JSON object: name and parameters; null in older rows, which were fedavg
    kept_states: str | None = (
        None  # JSON list: whose states go on between rounds; null in older rows: see optimizer_state
    )
    max_update_norm: float | None = None  # null: no bound, or an older row
    poison: str | None = None  # JSON object: simulated poisoners; null: none
    partition: str
    partition_sha256: str
    dataset_sha256: str
    initial_weights_sha256: str
    final_weights_sha256: str | None
    rounds: int
    resumes: int = 0  # how often it went on after it had been cut off; the times below are sums over its parts
    best_test_accuracy: float | None
    final_test_accuracy: float | None
    rounds_to_target: int | None  # null: not reached within `rounds` (censored), or no target
    # what it took
    started_at: float
    setup_s: float  # from the start of the run's process to its first round
    learning_s: float  # sum of round_s
    teardown_s: float
    wall_s: float
    cpu_s: float | None  # every process of the run, the backend's own machinery included
    sampled_cpu_s: float | None = None  # of these, what `samples` shows by role at its end
    sampler_cpu_s: float | None = None  # what taking the samples used; not part of cpu_s
    peak_total_rss_bytes: int | None  # highest sum of resident sets over the run's processes, from `samples`
    workers: int  # how many clients may train at once
    threads_per_client: int
    # where it ran
    commit: str | None
    dirty: bool | None
    python_version: str
    packages: str  # JSON object: name -> version
    os: str
    cpu_model: str
    cores: int
    memory_bytes: int
    cgroup_cpu_cores: float | None
    cgroup_memory_bytes: int | None
    config: str  # JSON object: the resolved configuration
    cluster: str | None = None  # JSON object: what the cluster reported, where one was watched


@dataclass(frozen=True, kw_only=True)
class RoundRow:
    """One row per run and round; the phases and ``unattributed_s`` add up to ``round_s``."""

    run_id: str
    schema_version: int = SCHEMA_VERSION
    server_round: int
    part: int = 0  # how often the run had been resumed before
    started_at: float
    test_accuracy: float
    test_loss: float
    weights_sha256: str
    updates: int  # of clients, that were averaged
    num_examples: int
    attempts: int
    failures: int
    stragglers: int = 0  # attempts that were still out when the round was closed: their rows are discarded ones
    cold_starts: int
    cpu_s: float | None  # CPU seconds of the round's work: clients, averaging and evaluation
    largest_worker_peak_rss_bytes: int | None  # the largest of `worker_peak_rss_bytes` in the round's invocations
    round_s: float
    select_s: float
    publish_s: float
    invoke_s: float
    runtime_start_s: float
    wait_s: float
    cold_start_s: float
    compile_s: float
    fetch_s: float
    train_s: float
    store_s: float
    poll_s: float
    aggregate_s: float
    evaluate_s: float
    unattributed_s: float


@dataclass(frozen=True, kw_only=True)
class InvocationRow:
    """One row per run, round, function, client and attempt; failed attempts too.

    Clocks are nested: ``function_s`` (the worker's own) within ``provider_s`` (the platform's record: its
    ``duration``, which includes ``init_s`` on a cold start) within ``client_s`` (the controller's).
    """

    run_id: str
    schema_version: int = SCHEMA_VERSION
    server_round: int
    part: int = 0  # how often the run had been resumed before
    function: str  # client, aggregator; invoker, of one that invoked the client of that attempt and waited for it
    client_id: int | None = None
    attempt: int
    platform: str | None = None
    activation_id: str | None = None
    status: str  # success, failed, discarded
    error_kind: str | None = None
    is_cold: bool | None = None
    submitted_at: float
    client_s: float | None = None
    queue_s: float | None = None  # of client_s, before the worker began, its cold start included in its work
    provider_s: float | None = None
    provider_start: str | None = None  # reported: provider_s has init_s in it; excluded: it begins after a cold start
    function_s: float | None = None
    platform_wait_s: float | None = None
    init_s: float | None = None
    cold_start_s: float | None = None
    compile_s: float | None = None
    fetch_s: float | None = None
    train_s: float | None = None
    store_s: float | None = None
    aggregate_s: float | None = None
    evaluate_s: float | None = None
    cpu_s: float | None = None
    worker_peak_rss_bytes: int | None = None  # highest resident set of the worker's process during the work
    memory_source: str | None = None
    cgroup_cpu_s: float | None = None  # what the worker's own control group counted, if it had one
    cgroup_peak_memory_bytes: int | None = None
    cgroup_source: str | None = None
    fabric_group: str | None = None  # of a client: the fabric's group that it belongs to
    cpu_share: float | None = None  # of a core that its local platform gave it
    cpu_share_by: str | None = None  # cgroup: by the kernel; simulated: its answers were held back
    memory_limit_bytes: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    num_examples: int | None = None
    train_loss: float | None = None


@dataclass(frozen=True, kw_only=True)
class SampleRow:
    """One row per run, moment and role: of the run's processes here, or of its pods in a cluster."""

    run_id: str
    schema_version: int = SCHEMA_VERSION
    sampled_at: float
    role: str  # controller, client, aggregator, emulator, object_store, flower, ray; in a cluster openwhisk, prewarmed
    processes: int  # or pods
    cpu_s: float  # CPU seconds of the role's processes so far, those that have ended included
    rss_bytes: int  # sum of their resident sets; pages that they share count in each; of pods the working sets
    source: str | None = PROCESSES  # or metrics.k8s.io
    requested_cpu_cores: float | None = None  # of pods: what they asked the scheduler for
    requested_memory_bytes: int | None = None


Row = RunRow | RoundRow | InvocationRow | SampleRow
TABLES: dict[str, type[Row]] = {
    "runs": RunRow,
    "rounds": RoundRow,
    "invocations": InvocationRow,
    "samples": SampleRow,
}
