"""The set-up steps of a run and their seconds: a line each in ``setup.jsonl``, in the run's own folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

SETUP = "setup.jsonl"


@dataclass(frozen=True)
class SetupStep:
    """A step of a run's set-up that has ended, and how long it took by the monotonic clock."""

    run_id: str
    step: str
    seconds: float


def append_step(directory: Path, step: SetupStep) -> None:
    """Keep a step in a run's folder."""
    with (directory / SETUP).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(step)) + "\n")


def read_steps(directory: Path) -> dict[str, float]:
    """Return the seconds of each step of a run, in the order in which they ended; empty if it recorded none."""
    path, seconds = directory / SETUP, dict[str, float]()
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for line in text[: text.rfind("\n") + 1].splitlines():
        step = SetupStep(**json.loads(line))
        seconds[step.step] = seconds.get(step.step, 0.0) + step.seconds
    return seconds
