"""Numbers that others published, to be drawn beside ours: never without their source and how they differ.

The files of this folder begin with their citation. Nothing in them was measured by this project.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd


@dataclass(frozen=True)
class Source:
    """A work that numbers are taken from.

    Parameters
    ----------
    short
        How it is named in a legend.
    citation
        How it is named in a note.
    differences
        Why its times are not ours, as sentences that follow the citation.
    """

    short: str
    citation: str
    differences: str


CHADHA = Source(
    short="Chadha et al. 2020",
    citation=(
        "Chadha, Jindal, Gerndt, “Towards Federated Learning using FaaS Fabric”, WoSC 2020 "
        "(data of github.com/ansjin/fl_faas_fabric)"
    ),
    differences=(
        "Other hardware and FaaS platforms, one series a setting: compare shapes and numbers of rounds, not seconds."
    ),
)
RGG = Source(
    short="r-gg 2024",
    citation="r-gg, github.com/r-gg/serverless-computing, result tables of 2024-02",
    differences=(
        "OpenWhisk on kind against a hand-written server, another machine, EMNIST digits (ours: MNIST). Its two "
        "sides differed in learning rate, pixel scale, initial weights and averaging: its accuracies are no "
        "comparison and not drawn."
    ),
)


@cache
def _read(name: str) -> pd.DataFrame:
    with (files(__package__) / f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#")


def rounds_to_target() -> pd.DataFrame:
    """Return the rounds that :data:`CHADHA` needed to 99 % (cnn) or 97 % (nn) test accuracy (its Fig. 3).

    One row per ``model``, ``clients_per_round`` (of 100), ``optimizer``, ``local_epochs`` and ``run``. The text speaks
    of five runs a setting; the published data hold two, and three in one.
    """
    return _read("rounds_to_target").copy()


def rounds() -> pd.DataFrame:
    """Return accuracy and seconds of each round of :data:`CHADHA`, 100 of 100 clients, adam (its Fig. 4).

    ``train_s`` was not published for 10 local epochs, and is null there. The means of ``round_s`` are those that the
    paper states: 60.41 s and 61.67 s (cnn, 5 and 10 epochs) and 41.45 s (nn, 5); for nn and 10 epochs it states
    40.28 s, and its data have 40.10 s. The first round at 95 % is 13, 13 (cnn), 91 and 31 (nn) in its text, and 12, 14,
    97 and 32 in its data.
    """
    return _read("rounds").copy()


def first_rounds() -> pd.DataFrame:
    """Return the parts of cold first rounds of :data:`CHADHA`, 5 local epochs (its Fig. 5).

    Container starts have no part of their own: in the scripts published with it they are constants that are subtracted.
    """
    return _read("first_rounds").copy()


def grid() -> pd.DataFrame:
    """Return the runs of :data:`RGG`: the round closed after the first ``first_k`` of ``clients_per_round`` updates.

    ``memory_mb`` is the label of a deployment, null for the classical side (``system`` ``vanilla``); memory, CPU and
    cost were announced and not measured.
    """
    return _read("grid").copy()
