"""The objects of one run: their keys, and the URLs by which functions reach exactly their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from machine.json_values import read_json
from metrics.collect.checkpoints import SERVER, ResumePoint
from serverless.functions.messages import AggregatorParams, ClientParams, InvokerParams, Stored, UpdateParams
from serverless.functions.payload import pack_images
from serverless.storage import ObjectMissing, ObjectStore
from serverless.storage.keys import (
    TEST_KEY,
    copy_key,
    data_key,
    evaluation_key,
    server_state_key,
    state_key,
    update_key,
    weights_key,
)
from task.aggregation import needs_start
from task.data import Images
from task.job import FederatedJob
from task.models import weights_like
from task.partition import Partition
from task.states import client_state_like, keeps_client_state, server_state_like, shared_state_like
from task.weights import CorruptWeights, Stamp, Weights, digest, dumps, largest_bytes, read, restore, sha256

_LARGEST_EVALUATION = 10_000  # bytes; it takes some 200


@dataclass(frozen=True)
class Update:
    """An update that counts: the client's attempt that made it, the images that it stands for, and its hashes.

    The hashes are those of :class:`serverless.functions.messages.Stored`.
    """

    client_id: int
    attempt: int
    num_examples: int
    sha256: str
    state_sha256: str | None = None


@dataclass(frozen=True)
class GlobalWeights:
    """The global weights after a round: their key, and their hash by :func:`task.weights.sha256`."""

    key: str
    sha256: str


@dataclass(frozen=True)
class KeptState:
    """A state that the next round goes on with: its key, and the hash of its bytes (empty: not known)."""

    key: str
    sha256: str

    def encode(self) -> bytes:
        """Return what a checkpoint notes."""
        return f"{self.key} {self.sha256}".encode()

    @classmethod
    def decode(cls, noted: bytes) -> KeptState:
        """Read what :meth:`encode` wrote; older checkpoints have no hash."""
        key, _, sha256 = noted.decode().partition(" ")
        return cls(key, sha256)


@dataclass
class RunObjects:
    """Keys and grants of one run. Every attempt has its own keys, so that no two can overwrite each other.

    Parameters
    ----------
    grant_s
        How long URLs are valid, seconds.
    """

    store: ObjectStore
    job: FederatedJob
    grant_s: int
    _global: dict[int, GlobalWeights] = field(default_factory=dict)
    _kept_states: dict[int, KeptState] = field(default_factory=dict)
    _server_states: dict[int, KeptState] = field(default_factory=dict)

    def publish_data(self, dataset: Images, partition: Partition) -> None:
        """Put each client's images, and the test images, into the store."""
        for client_id, mine in enumerate(partition.indices):
            self.store.put(data_key(client_id), pack_images(dataset.train_images[mine], dataset.train_labels[mine]))
        self.store.put(TEST_KEY, pack_images(dataset.test_images, dataset.test_labels))

    def publish_weights(self, server_round: int, weights: Weights) -> None:
        """Put the global weights as they are after ``server_round``; 0 is before the first."""
        self.adopt(server_round, 1, sha256(weights))
        self.store.put(self._global[server_round].key, dumps(weights))

    def adopt(self, server_round: int, attempt: int, weights_sha256: str, state_sha256: str | None = None) -> None:
        """Go on from the weights and the strategy's state, of these hashes, that this attempt at the average left."""
        self._global[server_round] = GlobalWeights(weights_key(server_round, attempt), weights_sha256)
        if state_sha256:
            self._server_states[server_round] = KeptState(server_state_key(server_round, attempt), state_sha256)

    def weights(self, server_round: int) -> Weights:
        """Return the global weights after ``server_round``.

        Not every store names the MD5 sum of an object: what has another hash is read once more.
        """
        found = self._global[server_round]
        try:
            return restore(self.store.get(found.key), found.sha256)
        except CorruptWeights:
            return restore(self.store.get(found.key), found.sha256)

    def client_params(self, server_round: int, client_id: int, attempt: int) -> ClientParams:
        """Return the parameters of one client invocation."""
        params: ClientParams = {
            "job": self.job.to_dict(),
            "client_id": client_id,
            "server_round": server_round,
            "attempt": attempt,
            "weights_url": self._get(self._global[server_round - 1].key),
            "weights_sha256": self._global[server_round - 1].sha256,
            "data_url": self._get(data_key(client_id)),
            "update_url": self._put(update_key(server_round, client_id, attempt)),
        }
        if keeps_client_state(self.job):
            params["new_state_url"] = self._put(state_key(server_round, client_id, attempt))
            if kept := self._kept_states.get(client_id):
                params["state_url"] = self._get(kept.key)
                if kept.sha256:
                    params["state_sha256"] = kept.sha256
        if shared_state_like(self.job) and (shared := self._server_states.get(server_round - 1)):
            params["shared_url"], params["shared_sha256"] = self._get(shared.key), shared.sha256
        return params

    def invoker_params(
        self, server_round: int, client_id: int, attempt: int, function: str, params: Mapping[str, Any]
    ) -> InvokerParams:
        """Return the parameters of an invoker whose client gets ``params``, but with a copy of the global weights.

        The copy lies beside the update, and is deleted with it.
        """
        key = copy_key(server_round, client_id, attempt)
        mine = cast(ClientParams, {**params, "weights_url": self._get(key)})
        return {
            "function": function,
            "weights_url": params["weights_url"],
            "copy_url": self._put(key),
            "params": mine,
        }

    def stored(self, stamp: Stamp) -> Stored | None:
        """Return the hashes of what an attempt left in the store although its answer was lost; ``None`` if not whole.

        It is checked as an answer is, and as the aggregator will: only the bound of its size is left to that.
        """
        where = stamp.server_round, stamp.client_id, stamp.attempt
        try:
            update = self._checked(update_key(*where), weights_like(self.job.model), stamp)
            if not keeps_client_state(self.job):
                return Stored(update_sha256=update)
            state = self._checked(state_key(*where), client_state_like(self.job), stamp)
        except (ObjectMissing, CorruptWeights):
            return None
        return Stored(update_sha256=update, state_sha256=state)

    def _checked(self, key: str, like: Weights, stamp: Stamp) -> str:
        if self.store.stat(key).size_bytes > largest_bytes(like):
            raise CorruptWeights(f"{key} is larger than the model")
        data = self.store.get(key)
        read(data, like, stamp=stamp)
        return digest(data)

    def evaluation(self, server_round: int, attempt: int) -> dict[str, Any] | None:
        """Return the JSON object that an attempt at the round's average left after the weights; ``None`` if none."""
        key = evaluation_key(server_round, attempt)
        try:
            small = self.store.stat(key).size_bytes <= _LARGEST_EVALUATION
            value = read_json(self.store.get(key)) if small else None
        except (ObjectMissing, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def granted(self, server_round: int, updates: Iterable[Update]) -> tuple[UpdateParams, ...]:
        """Return what the aggregator needs of each update."""
        return tuple(
            {
                "client_id": update.client_id,
                "attempt": update.attempt,
                "sha256": update.sha256,
                "url": self._get(update_key(server_round, update.client_id, update.attempt)),
                "num_examples": update.num_examples,
            }
            for update in updates
        )

    def aggregator_params(
        self, server_round: int, attempt: int, updates: Iterable[UpdateParams], test_sha256: str
    ) -> AggregatorParams:
        """Return the parameters of the aggregator's invocation, with :meth:`granted` in ascending client order."""
        params: AggregatorParams = {
            "job": self.job.to_dict(),
            "server_round": server_round,
            "updates": list(updates),
            "weights_url": self._put(weights_key(server_round, attempt)),
            "evaluation_url": self._put(evaluation_key(server_round, attempt)),
            "test_url": self._get(TEST_KEY),
            "test_sha256": test_sha256,
        }
        if needs_start(self.job):
            start = self._global[server_round - 1]
            params["start_url"], params["start_sha256"] = self._get(start.key), start.sha256
        if server_state_like(self.job):
            params["new_state_url"] = self._put(server_state_key(server_round, attempt))
            if kept := self._server_states.get(server_round - 1):
                params["state_url"], params["state_sha256"] = self._get(kept.key), kept.sha256
        return params

    def keep_states(self, server_round: int, updates: Iterable[Update]) -> dict[int, bytes]:
        """Remember whose state goes on from which attempt; return what a checkpoint notes, the server's too."""
        states = {}
        if keeps_client_state(self.job):
            for update in updates:
                key = state_key(server_round, update.client_id, update.attempt)
                states[update.client_id] = KeptState(key, update.state_sha256 or "")
        self._kept_states.update(states)
        if server := self._server_states.get(server_round):
            states[SERVER] = server
        return {whose: state.encode() for whose, state in states.items()}

    def restore(self, point: ResumePoint) -> int:
        """Go on with the objects of an earlier process of this run; return its last whole round.

        Raises
        ------
        serverless.storage.ObjectMissing
            If the weights of that round are no longer in the store.
        task.weights.CorruptWeights
            If they are not the weights that the round ended with.
        """
        weights = restore(point.weights, point.weights_sha256) if point.weights else self._found(point)
        self.publish_weights(point.server_round, weights)
        states = {whose: KeptState.decode(noted) for whose, noted in point.states.items()}
        if server := states.pop(SERVER, None):
            self._server_states[point.server_round] = server
        self._kept_states.update(states)
        return point.server_round

    def forget_all_updates_but(self, server_round: int) -> None:
        """Delete the updates of all rounds but the one that runs now, which an interrupted run goes on with."""
        kept = f"updates/round-{server_round:05d}/"
        for key in {info.key for info in self.store.list("updates/") if not info.key.startswith(kept)}:
            self.store.delete_prefix(key)

    def forget_updates(self, server_round: int) -> None:
        """Delete the updates of a finished round: they are in the average."""
        self.store.delete_prefix(f"updates/round-{server_round:05d}/")

    def forget_late(self, server_round: int, client_id: int, attempt: int) -> None:
        """Delete the update and the state of an attempt that ended after its round was closed."""
        for key in (update_key(server_round, client_id, attempt), state_key(server_round, client_id, attempt)):
            self.store.delete_prefix(key)

    def _found(self, point: ResumePoint) -> Weights:
        """Return the weights of a round among those that the attempts at its average left."""
        keys = [info.key for info in self.store.list(f"weights/round-{point.server_round:05d}-")]
        for key in keys[:-1]:
            with suppress(CorruptWeights):
                return restore(self.store.get(key), point.weights_sha256)
        return restore(self.store.get(keys[-1] if keys else weights_key(point.server_round)), point.weights_sha256)

    def _get(self, key: str) -> str:
        return self.store.grant(key, "GET", self.grant_s)

    def _put(self, key: str) -> str:
        return self.store.grant(key, "PUT", self.grant_s)
