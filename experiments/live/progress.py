"""How far the runs of an experiment are, without any drawing."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from experiments.config.plan import RunPlan
from experiments.runs.announcements import Event, SetupStep
from metrics.collect.phases import by_group
from metrics.collect.row_types import RoundRow, RunRow

WAITING, RUNNING, KEPT = "waiting", "running", "kept"


@dataclass
class RunProgress:
    """How far one run is.

    Parameters
    ----------
    status
        ``waiting``, ``running``, ``kept`` (finished earlier), or how it ended.
    step
        The set-up step that it is in, before its first round.
    last_round
        The row of its last round.
    """

    plan: RunPlan
    status: str = WAITING
    step: str | None = None
    last_round: RoundRow | None = None
    row: RunRow | None = None
    _round_s: list[float] = field(default_factory=list)

    def heard(self, event: Event) -> None:
        """Take in an announcement of the run's recorder."""
        if isinstance(event, SetupStep):
            self.step = event.step
        elif isinstance(event, RoundRow):
            self.step, self.last_round = None, event
            self._round_s.append(event.round_s)

    @property
    def rounds(self) -> int:
        """Rounds that are finished."""
        if self.row is not None:
            return self.row.rounds
        return self.last_round.server_round if self.last_round else 0

    @property
    def accuracy(self) -> float | None:
        """Test accuracy after the last round."""
        if self.row is not None:
            return self.row.final_test_accuracy
        return self.last_round.test_accuracy if self.last_round else None

    @property
    def round_s(self) -> float | None:
        """Median round time in seconds; without the first round, which starts cold, where there are others."""
        durations = self._round_s[1:] or self._round_s
        return statistics.median(durations) if durations else None

    @property
    def left_s(self) -> float | None:
        """Seconds until the last round, at most: a target may be reached before."""
        if self.status != RUNNING or self.round_s is None:
            return None
        return (self.plan.job.rounds - self.rounds) * self.round_s

    def split(self) -> dict[str, float]:
        """Return the shares of the last round's time per group, those that are not zero; they add up to 1."""
        if self.last_round is None:
            return {}
        seconds = {name: max(0.0, value) for name, value in by_group(vars(self.last_round)).items()}
        total = sum(seconds.values())
        return {name: value / total for name, value in seconds.items() if value > 0} if total else {}
