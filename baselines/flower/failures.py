"""Why a federation failed, in a few plain lines: the cause first, and where the rest is."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from baselines.flower.plan import ERROR
from machine.foreign_texts import plain

LOG = "flower.log"
_LINES = 4  # that follow the cause: where it happened
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_EXCEPTION = re.compile(r"[\w.]*(Error|Exception|Exit|Interrupt|Failed|Expired)\b(: .*)?")
_CHAINED = ("The above exception was the direct cause", "During handling of the above exception")
_KNOWN = {
    r"/v1/runtime/\S+ HTTP/[\d.]+\" 401|401 Unauthorized": (
        "Flower refused a process of its own (401), because it reported only after flower.startup_timeout_s={limit:g}: "
        "its imports took longer on this machine. Raise flower.startup_timeout_s, or run fewer processes at once"
    ),
    r"The current node timed out during startup": (
        "Ray did not start within 30 s, which is a limit of its own: the machine is too slow for it or has too much "
        "other work. Run it again with less, or take flower=deployment, which does without Ray"
    ),
}


class FlowerError(RuntimeError):
    """The federation could not be started, or its run failed."""


def told(error: BaseException) -> str:
    """Return what the ServerApp leaves when it fails: its exception, then the whole traceback."""
    cause = "\n".join(line for line in "".join(traceback.format_exception_only(error)).splitlines() if line.strip())
    return f"{cause}\n\n{''.join(traceback.format_exception(error))}"


def reason(directory: Path, startup_timeout_s: float) -> str:
    """Return the end of a failure's message: what the ServerApp told or, if it told nothing, what Flower's log shows.

    Parameters
    ----------
    directory
        Of the run.
    startup_timeout_s
        How long a process of Flower could take until it reported.
    """
    told_by_app, log = directory / ERROR, directory / LOG
    if told_by_app.exists():
        return _shown(_read(told_by_app).partition("\n\n")[0], told_by_app)
    if not log.exists():
        return f"{log} was not written"
    text = _read(log)
    for pattern, meaning in _KNOWN.items():
        if re.search(pattern, text):
            return _shown(meaning.format(limit=startup_timeout_s), log)
    lines = [line for line in text.splitlines() if line.strip()]
    return _shown("\n".join([*_causes(lines), *lines[-_LINES:]]), log)


def _causes(lines: list[str]) -> list[str]:
    """Return the first exception of the last chain of them, if there is one: the others came of it."""
    cause: list[str] = []
    is_chained = False
    for line in lines:
        if line.startswith(_CHAINED):
            is_chained = True
        elif _EXCEPTION.fullmatch(line):
            cause = cause if is_chained else [line]
            is_chained = False
    return cause


def _shown(text: str, path: Path) -> str:
    first, *others = [line for line in text.splitlines() if line.strip()] or ["it left no message"]
    return "\n".join([plain(first), *map(plain, others[-_LINES:]), f"all of it: {path}"])


def _read(path: Path) -> str:
    return _COLOURS.sub("", path.read_text(encoding="utf-8", errors="replace"))
