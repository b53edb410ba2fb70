"""The frozen description of what a run learns.

A :class:`FederatedJob` has every choice that may change the learnt weights, and no other: two runs with equal jobs must
end with bit-identical weights, whichever system moved the weights around.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

ModelName = str  # a key of task.models.MODELS
OptimizerName = str  # a key of task.engines.optimizers.OPTIMIZERS
PartitionScheme = Literal["shards", "iid", "dirichlet"]
OptimizerStatePolicy = Literal["reset", "keep"]
SelectionPolicy = Literal["random", "fixed", "fastest_mix"]
MAX_UPDATE_NORM = 1000.0  # by default; what honest updates reach is in docs/strategies.md


@dataclass(frozen=True)
class PartitionSpec:
    """How the training images are dealt to the clients.

    Parameters
    ----------
    scheme
        ``shards``: sort by label, cut into ``clients * shards_per_client`` equal shards and deal them at
        random (Chadha, Jindal, Gerndt 2020; McMahan et al. 2017). ``iid``: a random deal in equal parts.
        ``dirichlet``: per label, shares drawn from Dirichlet(``alpha``) (Hsu, Qi, Brown 2019).
    shards_per_client
        Used by ``shards`` only.
    alpha
        Used by ``dirichlet`` only; dimensionless, > 0; smaller is less alike.
    """

    scheme: PartitionScheme = "shards"
    shards_per_client: int = 2
    alpha: float = 0.5


@dataclass(frozen=True)
class StrategySpec:
    """How clients train and how their updates become the next global weights; what a strategy does not use is ``None``.

    Parameters
    ----------
    name
        A key of :data:`task.strategies.STRATEGIES`.
    beta
        Used by ``trimmed_mean`` only: the share of the updates that is left out at each end.
    f, m
        Used by ``krum`` only: how many clients of a round may be poisoned, and how many updates are averaged.
    mu
        Used by ``fedprox`` only: the weight of the proximal term.
    eta
        The server's learning rate, of ``fedavgm``, ``fedadam``, ``fedyogi`` and ``scaffold``.
    momentum
        Used by ``fedavgm`` only.
    beta_1, beta_2, tau
        Used by ``fedadam`` and ``fedyogi``; see :class:`task.strategies.server_optimizer.Adaptive`.
    """

    name: str = "fedavg"
    beta: float | None = None
    f: int | None = None
    m: int | None = None
    mu: float | None = None
    eta: float | None = None
    momentum: float | None = None
    beta_1: float | None = None
    beta_2: float | None = None
    tau: float | None = None


@dataclass(frozen=True)
class PoisonSpec:
    """Simulated poisoners; by default there are none.

    Parameters
    ----------
    share
        Of all clients, in [0, 1].
    attack
        A key of :data:`task.poison.ATTACKS`: what they send instead of the difference that they learnt.
    scale
        ``sign_flip``: the difference times ``-scale``. ``gaussian``: normal values with this standard deviation.
        ``constant``: this value for each weight.
    """

    share: float = 0.0
    attack: str = "none"
    scale: float = 1.0


@dataclass(frozen=True)
class FederatedJob:
    """Everything that decides the learnt weights of one run.

    Parameters
    ----------
    model, optimizer, learning_rate, batch_size, local_epochs
        Local training, as in :mod:`task.training`.
    clients, clients_per_round
        The federation's size, and how many of them are drawn each round.
    rounds
        The most rounds that are run.
    target_accuracy
        Test accuracy in [0, 1] at which the run ends early; ``None`` runs all rounds.
    optimizer_state
        ``reset``: a client starts each round with a fresh optimizer (what the code published with the
        paper does). ``keep``: its optimizer state travels with its update and returns next time.
    partition
        How the data are dealt.
    selection
        Who takes part in a round. ``random``: a draw of its own each round. ``fixed``: the first round's draw in every
        round. ``fastest_mix``: by how long clients took before; only on functions, and the one choice here that is not
        decided by the job alone (see :mod:`serverless.rounds.selectors`).
    data_set
        Which images, by their name in :data:`task.data.DATA_SETS`.
    strategy
        How updates become the next global weights.
    poison
        Clients that are poisoned on purpose.
    max_update_norm
        The largest L2 norm of an update's difference from the global weights that it was trained from; a larger one is
        refused as corrupt. ``None``: there is no bound.
    seed
        Decides the partition, the initial weights, the selection and the batch order.
    """

    model: ModelName = "nn"
    optimizer: OptimizerName = "adam"
    learning_rate: float = 1e-3
    batch_size: int = 10
    local_epochs: int = 5
    clients: int = 100
    clients_per_round: int = 100
    rounds: int = 1
    target_accuracy: float | None = None
    optimizer_state: OptimizerStatePolicy = "reset"
    partition: PartitionSpec = field(default_factory=PartitionSpec)
    selection: SelectionPolicy = "random"
    data_set: str = "mnist"
    strategy: StrategySpec = field(default_factory=StrategySpec)
    poison: PoisonSpec = field(default_factory=PoisonSpec)
    max_update_norm: float | None = MAX_UPDATE_NORM
    seed: int = 0

    def reached(self, test_accuracy: float) -> bool:
        """Whether ``test_accuracy`` ends the run."""
        return self.target_accuracy is not None and test_accuracy >= self.target_accuracy

    def rounds_after(self, server_round: int = 0, test_accuracy: float | None = None) -> range:
        """Return the rounds that are left after ``server_round``: none if its accuracy has ended the run.

        Examples
        --------
        >>> job = FederatedJob(rounds=5, target_accuracy=0.9)
        >>> list(job.rounds_after(3, 0.8)), list(job.rounds_after(3, 0.95))
        ([4, 5], [])
        """
        ended = test_accuracy is not None and self.reached(test_accuracy)
        return range(self.rounds + 1 if ended else server_round + 1, self.rounds + 1)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: what is hashed, written to ``run.json`` and sent to functions."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FederatedJob:
        """Rebuild a job from :meth:`to_dict`.

        Raises
        ------
        TypeError
            If ``values`` has a key that a job does not have.
        """
        sections = {
            "partition": PartitionSpec(**values["partition"]),
            "strategy": StrategySpec(**values.get("strategy", {})),
            "poison": PoisonSpec(**values.get("poison", {})),
        }
        return cls(**{**values, **sections})
