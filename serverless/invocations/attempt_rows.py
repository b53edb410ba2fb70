"""Describes attempts at work in the table ``invocations``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from machine.clocks import now
from metrics.collect.row_types import InvocationRow
from metrics.collect.rows import with_work
from serverless.functions.messages import ClientAnswer, Evaluation, Measured
from serverless.invocations.work import Work
from serverless.platforms.protocol import Invocation

NO_ANSWER = "no answer"
_MIB = 1024 * 1024
_Answer = TypeVar("_Answer", bound=Measured)


def by_our_clock(answer: _Answer, submitted_at: float, client_s: float) -> _Answer:
    """Return an answer whose moments are those of this process's clock, from the times of its invocation."""
    return replace(answer, work=answer.work.by_our_clock(submitted_at, submitted_at + client_s))


@dataclass(frozen=True)
class AttemptRows:
    """Makes the rows of one function on one platform in one run.

    Parameters
    ----------
    memory_mb
        Memory limit of the function, MiB.
    fabric_group, cpu_share, cpu_share_by
        The columns of these names.
    """

    run_id: str
    platform: str
    function: str
    memory_mb: int
    fabric_group: str | None = None
    cpu_share: float | None = None
    cpu_share_by: str | None = None

    def row(
        self,
        work: Work,
        number: int,
        invocation: Invocation,
        *,
        submitted_at: float,
        client_s: float,
        error_kind: str | None = None,
        answer: Measured | None = None,
    ) -> InvocationRow:
        """Describe attempt ``number`` at some work; without an ``answer`` that can be trusted, nothing of it is used.

        Parameters
        ----------
        submitted_at, client_s
            When it was sent, in seconds since the epoch, and the seconds until its end, by the keeper's clock.
        """
        row = InvocationRow(
            submitted_at=submitted_at,
            client_s=client_s,
            run_id=self.run_id,
            server_round=work.server_round,
            function=self.function,
            client_id=work.client_id,
            attempt=number,
            platform=self.platform,
            activation_id=invocation.activation_id,
            status="failed" if error_kind else "success",
            error_kind=error_kind or invocation.got_over,
            provider_s=invocation.provider_s,
            provider_start=invocation.provider_start,
            platform_wait_s=invocation.wait_s,
            init_s=invocation.init_s,
            memory_limit_bytes=self.memory_mb * _MIB,
            fabric_group=self.fabric_group,
            cpu_share=self.cpu_share,
            cpu_share_by=self.cpu_share_by,
            bytes_in=answer.bytes_in if answer else None,
            bytes_out=answer.bytes_out if answer else None,
            num_examples=answer.num_examples if isinstance(answer, ClientAnswer | Evaluation) else None,
            train_loss=answer.train_loss if isinstance(answer, ClientAnswer) else None,
        )
        return with_work(row, answer.work if answer else None)

    def unanswered(self, work: Work, number: int, submitted_at: float) -> InvocationRow:
        """Describe an attempt whose answer is no longer waited for."""
        waited_s = now() - submitted_at
        return self.row(work, number, Invocation(), submitted_at=submitted_at, client_s=waited_s, error_kind=NO_ANSWER)
