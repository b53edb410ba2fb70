"""What the keeper and a function say to each other: the parameters of each function and its answer, as JSON objects.

The keeper builds parameters and reads answers (:mod:`serverless.invocations.answers` checks them); a function does the
opposite. Shipped into functions: the standard library only, besides the probe's report.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NotRequired, TypedDict

from metrics.collect.probe import WorkReport


class ClientParams(TypedDict):
    """Parameters of the client function; each URL allows one verb on one object."""

    job: dict[str, Any]  # task.job.FederatedJob.to_dict
    client_id: int
    server_round: int
    attempt: int
    weights_url: str
    weights_sha256: str  # by task.weights.sha256
    data_url: str
    update_url: str
    state_url: NotRequired[str]  # what the client kept; absent in its first round, and where nothing is kept
    state_sha256: NotRequired[str]  # of the bytes behind it
    new_state_url: NotRequired[str]
    shared_url: NotRequired[str]  # the strategy's state; absent in the first round, and where clients do not get it
    shared_sha256: NotRequired[str]


class UpdateParams(TypedDict):
    """One update that the aggregator averages."""

    client_id: int
    attempt: int
    url: str
    sha256: str  # of the bytes that counted: an update that was written again is refused
    num_examples: int


class AggregatorParams(TypedDict):
    """Parameters of the aggregator function."""

    job: dict[str, Any]  # task.job.FederatedJob.to_dict
    updates: list[UpdateParams]  # in ascending client order, the order in which they are added up
    server_round: int
    start_url: NotRequired[str]  # of the global weights that the clients began with; absent where nothing needs them
    start_sha256: NotRequired[str]  # of these, by task.weights.sha256
    state_url: NotRequired[str]  # of the strategy; absent in the first round, and where it has none
    state_sha256: NotRequired[str]  # of the bytes behind it
    new_state_url: NotRequired[str]
    weights_url: str  # where the average goes
    evaluation_url: str  # where the evaluation goes, in case the answer is lost
    test_url: str
    test_sha256: str


class InvokerParams(TypedDict):
    """Parameters of the invoker function of FedKeeper's topology."""

    function: str  # name of the client function
    params: ClientParams
    weights_url: str
    copy_url: str  # where the client's copy of the weights goes


class PreflightParams(TypedDict, total=False):
    """Parameters of the probe function; it does what is asked for."""

    imports: list[str]  # packages
    get_url: str  # the object behind it is written to put_url
    put_url: str
    sleep_s: float
    padding: str  # makes the request as large as it should be


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The part of an answer that every function gives: bytes that it read and wrote, and the probe's report."""

    bytes_in: int
    bytes_out: int
    work: WorkReport

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a client left in the store: the SHA-256 of the bytes of its update and, if kept, its optimizer's state."""

    update_sha256: str
    state_sha256: str | None = None

    def hashes(self) -> tuple[str, str | None]:
        """Return both."""
        return self.update_sha256, self.state_sha256


@dataclass(frozen=True, kw_only=True)
class ClientAnswer(Stored, Measured):
    """A client trained on ``num_examples`` images; its update is in the store."""

    num_examples: int
    train_loss: float | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How good the average of ``num_examples`` images is, and its hash; both are also kept in the store.

    With a strategy that has a state, also the SHA-256 of its bytes: weights and state count together or not at all.
    """

    test_accuracy: float
    test_loss: float
    weights_sha256: str
    num_examples: int
    state_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class AverageAnswer(Evaluation, Measured):
    """The aggregator averaged all updates and evaluated the result."""


@dataclass(frozen=True, kw_only=True)
class CorruptUpdate:
    """An update that must not enter the average: it is damaged, missing or of another model."""

    client_id: int
    error: str


@dataclass(frozen=True, kw_only=True)
class CorruptAnswer(Measured):
    """The aggregator averaged nothing, because of these updates."""

    corrupt: tuple[CorruptUpdate, ...]


@dataclass(frozen=True, kw_only=True)
class ClientCall:
    """What became of the activation that an invoker function started.

    Parameters
    ----------
    record
        The platform's own record of the activation; ``None`` if it is not known, and then the other
        fields say why.
    error_kind, reason
        As in ``invocations.error_kind``, and in words. OpenWhisk takes an answer with a key ``error`` for a failure of
        the invoker itself, so that this has another name.
    may_have_run
        Whether the client may have run all the same.
    activation_id
        As far as it is known.
    """

    record: dict[str, Any] | None = None
    error_kind: str | None = None
    reason: str | None = None
    may_have_run: bool = True
    activation_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class InvokerAnswer(ClientCall, Measured):
    """An invoker handed the weights on and waited for its client."""


class Package(TypedDict, total=False):
    """An imported package: its version, or why it could not be imported."""

    version: str
    error: str


class PreflightAnswer(TypedDict):
    """What the probe function saw; moments are seconds since the epoch by the container's clock."""

    instance: str  # of the container
    started_at: float
    ended_at: float
    peak_memory_bytes: int
    python: NotRequired[str]
    packages: NotRequired[dict[str, Package]]
    import_s: NotRequired[float]
    moved_bytes: NotRequired[int]
    transfer_error: NotRequired[str]
