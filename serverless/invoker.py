"""Invokes functions until their work is done, and writes down every attempt."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from metrics.clocks import now
from metrics.probe import WorkReport
from metrics.rows import invocation_row
from metrics.tables import InvocationRow
from serverless.platforms.protocol import FunctionSpec, Invocation, Platform

_FINAL = ("payload too large", "unauthorized", "forbidden")  # the same request would be refused again
_BACKOFF_S = 0.5  # before the second attempt, doubled before each later one, with jitter
_MIB = 1024 * 1024


class WorkFailed(RuntimeError):  # noqa: N818 - reads as the fact that it states
    """A piece of work failed in every attempt; ``rows`` are the attempts."""

    def __init__(self, message: str, rows: list[InvocationRow]) -> None:
        super().__init__(message)
        self.rows = rows


@dataclass(frozen=True)
class Done:
    """A piece of work that succeeded.

    Parameters
    ----------
    attempt
        The attempt that counts.
    result
        The function's answer; ``None`` if it was lost, although the work is in the store.
    rows
        Every attempt, the failed ones too.
    """

    client_id: int | None
    attempt: int
    result: dict[str, Any] | None
    rows: list[InvocationRow]

    @property
    def work(self) -> WorkReport | None:
        """What the function reported of itself."""
        return WorkReport.from_dict(self.result["work"]) if self.result else None


@dataclass(frozen=True)
class Invoker:
    """Invokes one function on one platform for one run."""

    platform: Platform
    function: FunctionSpec
    run_id: str
    max_attempts: int

    def invoke(
        self,
        server_round: int,
        client_id: int | None,
        params: Callable[[int], dict[str, Any]],
        is_done: Callable[[int], bool] = lambda attempt: False,
    ) -> Done:
        """Do one piece of work; called from several threads at once.

        Parameters
        ----------
        params
            From the number of the attempt, counted from 1, to its parameters.
        is_done
            Whether an attempt whose answer was lost did its work after all: it is then not invoked again.

        Raises
        ------
        WorkFailed
            If no attempt succeeded.
        """
        rows: list[InvocationRow] = []
        for attempt in range(1, self.max_attempts + 1):
            submitted_at = now()
            invocation = self.platform.invoke(self.function, params(attempt))
            known = {"server_round": server_round, "client_id": client_id, "attempt": attempt}
            row = self._row(invocation, submitted_at=submitted_at, **known)
            rows.append(row)
            if invocation.error_kind is None or (invocation.may_have_run and is_done(attempt)):
                return Done(client_id, attempt, invocation.result, rows)
            if invocation.error_kind in _FINAL:
                break
            if attempt < self.max_attempts:
                time.sleep(_BACKOFF_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
        whose = "" if client_id is None else f" of client {client_id}"
        raise WorkFailed(
            f"round {server_round}: the {self.function.name} function{whose} failed in {len(rows)} attempts, "
            f"at last with {invocation.error_kind}: {invocation.error}",
            rows,
        )

    def _row(self, invocation: Invocation, *, submitted_at: float, **known: Any) -> InvocationRow:
        result = invocation.result or {}
        return invocation_row(
            WorkReport.from_dict(result["work"]) if result else None,
            submitted_at=submitted_at,
            run_id=self.run_id,
            function=self.function.name,
            platform=self.platform.name,
            activation_id=invocation.activation_id,
            status="failed" if invocation.error_kind else "success",
            error_kind=invocation.error_kind,
            client_s=now() - submitted_at,
            provider_s=invocation.provider_s,
            platform_wait_s=invocation.wait_s,
            init_s=invocation.init_s,
            memory_limit_bytes=self.function.memory_mb * _MIB,
            **{name: result.get(name) for name in ("bytes_in", "bytes_out", "num_examples", "train_loss")},
            **known,
        )
