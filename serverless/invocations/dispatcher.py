"""Sends pieces of work to functions, tries again what failed, and returns what became of each.

One thread, the keeper's, calls all methods and decides everything; the other threads only wait for answers. An
activation cannot be cancelled: work that is left behind runs on, and its row is written when its answer comes.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Protocol

from machine.clocks import now
from metrics.collect.row_types import CORRUPT_UPDATE, InvocationRow
from serverless.functions.backoff import jittered_s
from serverless.invocations.attempt_rows import NO_ANSWER
from serverless.invocations.attempts import NOT_SENT, Attempted
from serverless.invocations.tasks import Task
from serverless.invocations.work import Work
from serverless.platforms.protocol import FunctionSpec

_ENDLESS = (
    "nothing came back within {:g} s (platform.grant_s, the function's time limit and platform.request_timeout_s); "
    "see what the platform's log says of it, and start the run again: it goes on with this round"
)


class Attempts(Protocol):
    """What makes attempts: one :class:`~serverless.invocations.attempts.Invoker`, or one per platform."""

    @property
    def function(self) -> FunctionSpec:
        """The function that is invoked."""

    def attempt(self, work: Work, number: int, unheard: Iterable[int] = ()) -> Attempted:
        """See :class:`~serverless.invocations.attempts.Invoker`."""

    def unanswered(self, work: Work, number: int, submitted_at: float) -> InvocationRow:
        """See :class:`~serverless.invocations.attempts.Invoker`."""


@dataclass(frozen=True)
class Retries:
    """How often, and how soon, work is tried again.

    Parameters
    ----------
    max_attempts
        Attempts that ran or may have run, before the work has failed for good.
    max_refused
        Attempts that the platform turned away (too many requests, unreachable) before that; they cost nothing.
    backoff_s, longest_backoff_s
        Seconds before the second attempt, doubled before each later one up to the longest, each with jitter of ±50 %.
    """

    max_attempts: int = 5
    max_refused: int = 8
    backoff_s: float = 1.0
    longest_backoff_s: float = 30.0


@dataclass(frozen=True)
class Left:
    """Work that was left behind: the number of attempts in flight, and the rows of those just answered."""

    out: int
    answered: list[InvocationRow]


class Dispatcher:
    """Sends the work of one function.

    Parameters
    ----------
    threads
        Wait for answers; there must be one for every attempt that is out, stragglers' included.
    on_late
        Gets an attempt of work that was left behind when its answer comes.
    in_flight
        Attempts that are out at once, without those of work that was left behind.
    within_s
        Seconds after which an attempt that is out is given up, whatever its thread waits for.
    """

    def __init__(
        self,
        invoker: Attempts,
        threads: ThreadPoolExecutor,
        retries: Retries,
        on_late: Callable[[InvocationRow], None],
        in_flight: int = 1,
        within_s: float = float("inf"),
    ) -> None:
        self._invoker = invoker
        self._threads = threads
        self._in_flight = in_flight
        self._retries = retries
        self._on_late = on_late
        self._within_s = within_s
        self._ended: SimpleQueue[tuple[Task, int, Attempted | BaseException]] = SimpleQueue()
        self._unsent: deque[Task] = deque()
        self._resting: list[tuple[float, int, Task]] = []  # when to try again; the number settles ties
        self._numbers = itertools.count()
        self._out: set[Task] = set()
        self._left: set[Task] = set()
        self._given_up: set[tuple[Task, int]] = set()  # attempts that have their rows, and may still be answered

    def start(self, works: Iterable[Work], earlier: int = 0) -> list[Task]:
        """Send some work, as much at once as may be out; ``earlier`` attempts at the same have been made before."""
        return self.take([Task(work, earlier=earlier) for work in works])

    def take(self, tasks: list[Task]) -> list[Task]:
        """Send tasks that may have attempts behind them; what is done already is not sent."""
        self._unsent.extend(task for task in tasks if task.success is None)
        self._send()
        return tasks

    def next(self, until: float = float("inf")) -> Task | None:
        """Wait for a piece of work to succeed or to fail for good, and return it; ``None`` at the moment ``until``."""
        while True:
            self._send()
            ended = self._receive(min(until, *self._wake_at()))
            if ended is None:
                ended = self._given_up_now()
            if ended and self._judge(*ended):
                return ended[0]
            if ended is None and now() >= until:
                return None

    def refuse(self, task: Task, error: str) -> None:
        """Take back the success of a task whose update turned out to be corrupt, and try it again."""
        task.take_back()
        task.ran += 1
        self._try_again(task, CORRUPT_UPDATE, error)

    def leave(self) -> Left:
        """Leave all work behind that is not done: what is in flight runs on, and nothing is tried again."""
        self._unsent.clear()
        self._resting.clear()
        out = frozenset(self._out)
        self._left |= out
        self._out.clear()
        answered: list[InvocationRow] = []
        while self._left and (ended := self._receive(now())):
            if ended[0] in out:
                self._left.discard(ended[0])
                answered.append(self._row_of(*ended))
            else:
                self._judge(*ended)
        return Left(len(out), answered)

    def see_off(self, within_s: float) -> None:
        """Wait for the attempts that were left behind; one without an answer by then gets a row that says so."""
        until = now() + within_s
        while self._left and (ended := self._receive(until)):
            self._judge(*ended)
        for task in self._left:
            self._given_up.add((task, task.next_number))
            self._on_late(self._invoker.unanswered(task.work, task.next_number, task.sent_at))
        self._left.clear()

    def _send(self) -> None:
        while self._resting and self._resting[0][0] <= now():
            self._unsent.appendleft(heapq.heappop(self._resting)[2])
        while self._unsent and len(self._out) < self._in_flight:
            task = self._unsent.popleft()
            task.sent_at = now()
            self._out.add(task)
            self._threads.submit(self._attempt, task, task.next_number, task.unheard)

    def _attempt(self, task: Task, number: int, unheard: tuple[int, ...]) -> None:
        try:
            self._ended.put((task, number, self._invoker.attempt(task.work, number, unheard)))
        except BaseException as error:  # the keeper's thread raises it
            self._ended.put((task, number, error))

    def _receive(self, until: float) -> tuple[Task, Attempted] | None:
        while True:
            try:
                wait_s = None if until == float("inf") else max(0.0, until - now())
                task, number, ended = self._ended.get(timeout=wait_s)
            except Empty:
                return None
            if (task, number) in self._given_up:
                continue
            if isinstance(ended, BaseException):
                raise ended
            return task, ended

    def _wake_at(self) -> Iterator[float]:
        """Yield when something is to be done although nothing has arrived, in seconds since the epoch."""
        yield from (at for at, _, _ in self._resting[:1])
        yield min((task.sent_at for task in self._out), default=float("inf")) + self._within_s

    def _given_up_now(self) -> tuple[Task, Attempted] | None:
        """Give up the attempt that has been out the longest, if that is too long: its work may yet be in the store."""
        task = min(self._out, key=lambda task: task.sent_at, default=None)
        if task is None or task.sent_at + self._within_s > now():
            return None
        number = task.next_number
        self._given_up.add((task, number))
        row = self._invoker.unanswered(task.work, number, task.sent_at)
        return task, Attempted(number, row, None, NO_ANSWER, _ENDLESS.format(self._within_s), may_be_done=True)

    def _judge(self, task: Task, ended: Attempted) -> bool:
        """Note the result of an attempt; return whether its task is now done, or has failed for good."""
        if task in self._left:
            self._left.discard(task)
            self._on_late(self._row_of(task, ended))
            return False
        self._out.discard(task)
        if ended.row:
            task.rows[ended.attempt] = ended.row
        if ended.success:
            task.count(ended.success)
            return True
        task.refused += ended.was_refused
        task.ran += not ended.was_refused
        task.unheard += (ended.attempt,) if ended.may_be_done else ()
        return self._try_again(task, ended.error_kind or "", ended.error or "", final=ended.is_final)

    def _row_of(self, task: Task, ended: Attempted) -> InvocationRow:
        """Return the row of a straggler's attempt; one that was never sent has a row too: it cost nothing."""
        if ended.row:
            return ended.row
        unsent = self._invoker.unanswered(task.work, ended.attempt, task.sent_at)
        return replace(unsent, error_kind=ended.error_kind or NOT_SENT)

    def _try_again(self, task: Task, kind: str, error: str, *, final: bool = False) -> bool:
        """Plan the next attempt at a task, after a pause; return whether no attempt is left."""
        if final or task.ran >= self._retries.max_attempts or task.refused >= self._retries.max_refused:
            whose = "" if task.work.client_id is None else f" of client {task.work.client_id}"
            task.error = (
                f"round {task.work.server_round}: the {self._invoker.function.name} function{whose} failed in "
                f"{len(task.rows)} attempts, at last with {kind}: {error}"
            )
            return True
        rest_s = jittered_s(task.ran + task.refused, self._retries.backoff_s, self._retries.longest_backoff_s)
        heapq.heappush(self._resting, (now() + rest_s, next(self._numbers), task))
        return False
