"""Groups of similar clients: DBSCAN, at the radius that separates them best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN
from sklearn.metrics import calinski_harabasz_score
from sklearn.preprocessing import StandardScaler

_RADII = np.arange(0.01, 2.0, 0.1)  # in standard deviations of each feature
_FEWEST = 2  # clients that make a group
_NOISE = -1


def grouped(features: NDArray[np.float64]) -> tuple[int, ...]:
    """Return a group's number for each row of ``features`` [clients, features].

    Features are scaled to one standard deviation. Of a grid of radii, the one with the highest score of Calinski and
    Harabasz counts (T. Calinski, J. Harabasz: "A dendrite method for cluster analysis", 1974). A client that is
    similar to no other forms a group alone. Where no radius gives two groups, all clients are one group.

    Examples
    --------
    >>> grouped(np.array([[1.0], [1.1], [9.0], [9.2]]))
    (0, 0, 1, 1)
    """
    scaled = StandardScaler().fit_transform(features)
    best, highest = np.zeros(len(features), dtype=int), -np.inf
    for radius in _RADII:
        labels = _alone_if_noise(DBSCAN(eps=radius, min_samples=_FEWEST).fit(scaled).labels_)
        if 1 < len(set(labels)) < len(labels) and (score := calinski_harabasz_score(scaled, labels)) > highest:
            best, highest = labels, score
    return tuple(int(label) for label in best)


def _alone_if_noise(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    alone = np.flatnonzero(labels == _NOISE)
    labels[alone] = labels.max() + 1 + np.arange(len(alone))
    return labels
