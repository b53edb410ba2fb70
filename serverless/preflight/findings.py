"""What a check comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "failed", "not checked"]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    check
        Its short name.
    verdict
        ``failed``: the experiment would not run; ``warning``: it would, with what ``found`` says; ``not checked``: an
        earlier failure stands in the way.
    found
        In words, with figures and units.
    advice
        What to change; empty if all is well.
    """

    check: str
    verdict: Verdict
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, advice: str) -> Finding:
    """The experiment would run, but."""
    return Finding(check, "warning", found, advice)


def failed(check: str, found: str, advice: str) -> Finding:
    """The experiment would not run."""
    return Finding(check, "failed", found, advice)
