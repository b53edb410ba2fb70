"""How the training images are dealt to the clients."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from task.job import FederatedJob
from task.randomness import Stream, generator

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Partition:
    """The images of each client.

    Parameters
    ----------
    indices
        Per client id, the positions of its images among the training images: disjoint, int64.
    """

    indices: tuple[Indices, ...]

    @property
    def sha256(self) -> str:
        """Hash of who has what, in order; it goes into every row of ``runs``."""
        digest = hashlib.sha256()
        for part in self.indices:
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part.astype("<i8").tobytes())
        return digest.hexdigest()


def make_partition(job: FederatedJob, labels: NDArray[np.uint8]) -> Partition:
    """Deal the images by ``job.partition``, ``job.clients`` and ``job.seed``.

    Parameters
    ----------
    labels
        Label of each training image, shape [images].

    Raises
    ------
    ValueError
        If the images cannot be dealt that way (shards or parts of unequal size, a client without images).
    """
    rng = generator(job.seed, Stream.PARTITION)
    deal = {"shards": _shards, "iid": _iid, "dirichlet": _dirichlet}[job.partition.scheme]
    partition = Partition(deal(job, labels, rng))
    empty = [client for client, part in enumerate(partition.indices) if not len(part)]
    if empty:
        raise ValueError(
            f"partition.scheme={job.partition.scheme} with alpha={job.partition.alpha} leaves "
            f"{len(empty)} of {job.clients} clients without an image; use fewer clients or a larger alpha"
        )
    return partition


def _shards(job: FederatedJob, labels: NDArray[np.uint8], rng: np.random.Generator) -> tuple[Indices, ...]:
    """Sort by label, cut into equal shards, deal them at random (McMahan et al. 2017)."""
    count = job.clients * job.partition.shards_per_client
    if len(labels) % count:
        raise ValueError(
            f"{len(labels)} images do not divide into clients={job.clients} x partition.shards_per_client="
            f"{job.partition.shards_per_client} = {count} equal shards; choose a product that divides {len(labels)}"
        )
    by_label = np.argsort(labels, kind="stable").astype(np.int64)
    dealt = rng.permutation(count).reshape(job.clients, -1)
    shards = by_label.reshape(count, -1)
    return tuple(shards[mine].reshape(-1) for mine in dealt)


def _iid(job: FederatedJob, labels: NDArray[np.uint8], rng: np.random.Generator) -> tuple[Indices, ...]:
    return tuple(np.array_split(rng.permutation(len(labels)).astype(np.int64), job.clients))


def _dirichlet(job: FederatedJob, labels: NDArray[np.uint8], rng: np.random.Generator) -> tuple[Indices, ...]:
    """Split each label by shares drawn from Dirichlet(alpha) (Hsu, Qi, Brown 2019)."""
    parts: list[list[Indices]] = [[] for _ in range(job.clients)]
    for label in np.unique(labels):
        images = rng.permutation(np.flatnonzero(labels == label)).astype(np.int64)
        shares = rng.dirichlet(np.full(job.clients, job.partition.alpha))
        cuts = np.round(np.cumsum(shares)[:-1] * len(images)).astype(np.int64)
        for client, part in enumerate(np.split(images, cuts)):
            parts[client].append(part)
    return tuple(np.concatenate(part) for part in parts)
