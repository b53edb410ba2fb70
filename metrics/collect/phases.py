"""How the wall time of a round is divided into phases that add up to it.

The controller's own phases follow each other. Between sending the work out and having the last answer,
many workers are busy at once: there each moment is shared equally by what goes on in it, so that the shares
add up to the wall time whatever the number of workers. A moment in which nobody works although work is
outstanding is ``invoke`` (still being sent), ``poll`` (all work done, the controller does not know yet) or
else ``wait``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypedDict, cast

from machine.clocks import now
from metrics.collect.probe import Span, WorkReport

PHASES = (
    "select",  # drawing the round's clients
    "publish",  # making the global weights available to the workers
    "invoke",  # sending work out, nobody works yet
    "runtime_start",  # the backend's own machinery starting inside a round (Ray in Flower's simulation)
    "wait",  # work is outstanding and nobody works: queueing, dispatch, scheduling
    "cold_start",  # worker processes starting and importing
    "compile",  # tracing and compiling the training loop, once per process
    "fetch",  # workers reading weights and data
    "train",  # workers training
    "store",  # workers writing their updates
    "poll",  # all work is done, the controller has not noticed yet
    "aggregate",  # averaging
    "evaluate",  # the test images
)
UNATTRIBUTED = "unattributed"

# Thirteen phases are too many to tell apart at a glance, in a table, a figure or the live view; each is in one group.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "move weights": ("publish", "fetch", "store"),
    "aggregate": ("aggregate",),
    "evaluate": ("evaluate",),
    "start": ("runtime_start", "cold_start"),
    "compile": ("compile",),
    "platform": ("select", "invoke", "wait", "poll"),
    UNATTRIBUTED: (UNATTRIBUTED,),
}


class RoundTimes(TypedDict):
    """The seconds of a round by phase, as in the table ``rounds``: they add up to ``round_s``."""

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


def by_group(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of each of :data:`GROUPS`, from a round's ``<phase>_s`` and ``unattributed_s``."""
    return {group: sum(seconds[f"{phase}_s"] for phase in phases) for group, phases in GROUPS.items()}


@dataclass
class RoundClock:
    """Times one round from its creation to :meth:`close`.

    Examples
    --------
    >>> clock = RoundClock()
    >>> with clock.phase("select"):
    ...     chosen = [1, 2]
    >>> times = clock.close()
    >>> abs(sum(times[f"{p}_s"] for p in PHASES) + times["unattributed_s"] - times["round_s"]) < 1e-9
    True
    """

    started_at: float = field(default_factory=now)
    _seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase of the controller."""
        start = now()
        try:
            yield
        finally:
            self.add(name, now() - start)

    def add(self, name: str, seconds: float) -> None:
        """Attribute ``seconds`` of the round to the phase ``name``.

        Raises
        ------
        ValueError
            If there is no such phase.
        """
        if name not in PHASES:
            raise ValueError(f"no phase {name!r}; phases are {', '.join(PHASES)}")
        self._seconds[name] += seconds

    def add_fan_out(
        self,
        start: float,
        end: float,
        works: Iterable[WorkReport],
        *,
        sent_at: float,
        idle_before: str = "wait",
    ) -> None:
        """Divide the stretch of the round in which workers were busy; see :func:`share`."""
        parts = share(start, end, works, sent_at=sent_at, idle_before=idle_before)
        for name, seconds in parts.items():
            if name != UNATTRIBUTED:
                self.add(name, seconds)

    def close(self) -> RoundTimes:
        """Return what each phase took, and what of the round is in none of them."""
        round_s = now() - self.started_at
        times = {f"{name}_s": self._seconds[name] for name in PHASES}
        unattributed_s = round_s - sum(times.values())
        return cast(RoundTimes, {"round_s": round_s, **times, "unattributed_s": unattributed_s})


def share(
    start: float,
    end: float,
    works: Iterable[WorkReport],
    *,
    sent_at: float,
    idle_before: str = "wait",
) -> dict[str, float]:
    """Divide the time from ``start`` to ``end`` among what went on in it; the parts add up to its length.

    Parameters
    ----------
    start, end
        First dispatch and last answer, in seconds since the epoch by the controller's clock.
    works
        What the workers report; one by a clock that is ahead or behind is moved between ``start`` and
        ``end``.
    sent_at
        When the last piece of work had been sent.
    idle_before
        What a moment is called in which nothing has started working yet, once all has been sent.

    Returns
    -------
    dict
        Seconds per phase; ``unattributed`` is time inside the works but in none of their phases.
    """
    spans = [span for work in works for span in _placed(work, start, end)]
    first_start = min((span.start for span in spans), default=end)
    last_end = max((span.end for span in spans), default=end)  # nothing reported: nothing was done to notice
    changes: dict[float, list[tuple[str, int]]] = {start: [], end: []}
    if start < sent_at < end:
        changes[sent_at] = []
    for span in spans:
        changes.setdefault(span.start, []).append((span.phase, 1))
        changes.setdefault(span.end, []).append((span.phase, -1))

    active: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    for moment, following in pairwise(sorted(changes)):
        for phase, change in changes[moment]:
            active[phase] += change
        length, workers = following - moment, active.total()
        if workers:
            for phase, count in active.items():
                seconds[phase] += length * count / workers
        elif moment >= last_end:
            seconds["poll"] += length
        elif moment < sent_at:
            seconds["invoke"] += length
        else:
            seconds[idle_before if moment < first_start else "wait"] += length
    return dict(seconds)


def _placed(work: WorkReport, start: float, end: float) -> Iterator[Span]:
    """Yield the work's phases, and the gaps between them, within ``start`` and ``end``."""
    shift = min(0.0, end - work.ended_at) or max(0.0, start - work.started_at)

    def clipped(phase: str, since: float, until: float) -> Iterator[Span]:
        since, until = max(since, start), min(until, end)
        if until > since:
            yield Span(phase, since, until)

    cursor = work.started_at + shift
    for span in sorted(work.spans, key=lambda span: span.start):
        since, until = span.start + shift, span.end + shift
        yield from clipped(UNATTRIBUTED, cursor, since)
        yield from clipped(span.phase, since, until)
        cursor = max(cursor, until)
    yield from clipped(UNATTRIBUTED, cursor, work.ended_at + shift)
