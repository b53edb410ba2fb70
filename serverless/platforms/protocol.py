"""What a FaaS platform is to this project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from machine.foreign_texts import plain

if TYPE_CHECKING:  # it imports NumPy, and a list of the platforms does not need that
    from task.models import EngineName


class PlatformError(RuntimeError):
    """The platform refused, could not be reached, or answered something else than its API says."""


@dataclass(frozen=True)
class FunctionSpec:
    """A function as it is deployed.

    Parameters
    ----------
    name
        On the platform; also what ``invocations.function`` says.
    memory_mb
        Memory limit of its containers, MiB.
    timeout_s
        Time limit of an invocation, seconds.
    engine
        What a cold start imports, so that the first piece of work need not; ``None``: nothing.
    store
        Address of the one object store that it may reach; ``None``: none at all.
    code
        Whose code it has, if not that of its name.
    may_invoke
        Whether the platform gives it a key to invoke others with; OpenWhisk only.
    """

    name: str
    memory_mb: int
    timeout_s: float
    engine: EngineName | None = None
    store: str | None = None
    code: str | None = None
    may_invoke: bool = False


@dataclass(frozen=True)
class Invocation:
    """What became of one invocation, as the platform tells it; what it does not tell is ``None``.

    Parameters
    ----------
    result
        The function's answer; ``None`` if there is none.
    error_kind, error
        ``None`` on success; else a short name of what happened (``application error``, ``throttled``,
        ``no answer``, ...) and the platform's own words.
    got_over
        What went wrong on the way, by the same names, although the function's answer is here all the same;
        ``answered later`` for one that had to be asked for again. ``None`` if nothing did.
    may_have_run
        Whether the function may have run all the same (an answer that was lost).
    provider_s
        Duration by the platform's own clock, initialisation included, seconds.
    provider_start
        What ``provider_s`` says of a cold start: ``reported``, it includes ``init_s``; ``excluded``, it begins after
        the start; ``None``, nothing.
    wait_s, init_s
        Seconds in the platform's queue, and initialising a new container (``None`` on a warm start).
    """

    activation_id: str | None = None
    result: dict[str, Any] | None = None
    error_kind: str | None = None
    error: str | None = None
    may_have_run: bool = True
    provider_s: float | None = None
    provider_start: Literal["reported", "excluded"] | None = None
    wait_s: float | None = None
    init_s: float | None = None
    got_over: str | None = None

    def __post_init__(self) -> None:
        """Make what the platform told fit for a table, whichever platform it was; a time that is none is not told."""
        for name, most in _LONGEST_TEXTS.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, plain(str(value), most))
        for name in _TIMES_S:
            value = getattr(self, name)
            if value is not None and not _is_time_s(value):
                object.__setattr__(self, name, None)


_LONGEST_TEXTS = {"activation_id": 200, "error_kind": 100, "got_over": 100, "error": 2000}
_TIMES_S = ("provider_s", "wait_s", "init_s")
_LONGEST_S = 1e9  # 30 years: above it, a time is a mistake


def _is_time_s(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST_S


class Platform(Protocol):
    """A FaaS platform that functions are deployed to and invoked on."""

    @property
    def name(self) -> str:
        """What ``invocations.platform`` says."""

    def deploy(self, function: FunctionSpec) -> None:
        """Create the function, or bring it up to date; raises :class:`PlatformError`."""

    def remove(self, name: str) -> None:
        """Delete a function; one that is not there is no error."""

    def functions(self) -> tuple[str, ...]:
        """Return the names of the deployed functions."""

    def invoke(self, function: FunctionSpec, params: dict[str, Any]) -> Invocation:
        """Invoke and wait for the end; a failure is an :class:`Invocation` too, never an exception.

        Called from several threads at once.
        """
