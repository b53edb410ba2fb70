"""Test accuracy by round under simulated poisoners: a panel per share of poisoned clients, a line per strategy."""

from __future__ import annotations

import json

import pandas as pd
from matplotlib.figure import Figure

from metrics.analysis.run_choices import poisoned_share, strategy
from metrics.collect.tables import Tables
from metrics.plots.parts.by_round import bands, median_by_round
from metrics.plots.parts.chart import Chart
from metrics.plots.parts.style import annotate, new_figure, source_notes, what_was_learnt, wrapped

_COLOURS = ("#222222", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")  # Okabe, Ito 2008


def data(tables: Tables) -> pd.DataFrame:
    """Return the median test accuracy of each share, strategy and round; nothing where no run had poisoners."""
    runs = tables["runs"].assign(share=poisoned_share(tables["runs"]), strategy=strategy(tables["runs"]))
    if not (runs["share"] > 0).any():
        runs = runs.iloc[:0]
    runs = runs.drop_duplicates(["share", "strategy", "seed"])  # systems learn the same: one stands for all
    rounds = runs[["run_id", "share", "strategy"]].merge(tables["rounds"], on="run_id", sort=False)
    shown = median_by_round(rounds, ["share", "strategy"], "test_accuracy")
    return shown.sort_values(["share", "strategy", "server_round"], ignore_index=True)


def draw(shown: pd.DataFrame, tables: Tables) -> Figure:
    """Draw the panels beside each other, with one scale."""
    shares, strategies = sorted(shown["share"].unique()), list(shown["strategy"].unique())
    kept = [json.loads(text) for text in tables["runs"]["poison"].dropna()]
    attacks = sorted({f"{one['attack']}, scale {one['scale']:g}" for one in kept})
    said = f"n = {shown['n'].max()} seeds. Simulated poisoners, drawn by the seed ({'; '.join(attacks)})."
    notes = wrapped(said, bands(shown.assign(system=shown["strategy"], cell=shown["share"])), *source_notes(tables))
    figure, axes = new_figure(1, len(shares), 3.4, below=len(notes))
    for panel, share in zip(axes[0], shares, strict=True):
        for place, name in enumerate(strategies):
            rows = shown[(shown["share"] == share) & (shown["strategy"] == name)].sort_values("server_round")
            colour = _COLOURS[place % len(_COLOURS)]
            width = 1.2 + 1.2 * (len(strategies) - 1 - place)  # equal lines lie on top of each other
            panel.plot(rows["server_round"], rows["test_accuracy"], color=colour, linewidth=width, label=name)
            panel.fill_between(rows["server_round"], rows["lowest"], rows["highest"], color=colour, alpha=0.12, lw=0)
        panel.set_title(f"{100 * share:g} % poisoned")
        panel.set_ylim(0, 1)
        panel.set_xlabel("round")
    axes[0][0].set_ylabel("test accuracy")
    axes[0][-1].legend(loc="center right", bbox_to_anchor=(1, 0.4), fontsize=7)
    annotate(figure, "Test accuracy under poisoned clients, by strategy", what_was_learnt(tables), notes)
    return figure


CHART = Chart("poisoning", "no run had simulated poisoners.", data, draw)
