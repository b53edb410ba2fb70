"""TensorBoard: ``tensorboard --logdir results/<experiment>/runs`` shows the runs, also while they go on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter

from experiments.config.plan import RunPlan
from experiments.tracking.trackers import parameters

FOLDER = "tensorboard"  # in the run's own: a resumed run adds a file to it


class RunTracker:
    """The event files of one run."""

    def __init__(self, plan: RunPlan) -> None:
        self._folder = plan.directory / FOLDER
        self._last = 0
        with self._writer() as writer:
            writer.add_text("parameters", "\n".join(f"- {name}: {value}" for name, value in parameters(plan).items()))

    def round(self, server_round: int, values: dict[str, float]) -> None:
        """Write a round; the file is closed then, because the reader looks at whole files."""
        self._last = server_round
        self._write({f"round/{name}": value for name, value in values.items()}, server_round)

    def end(self, values: dict[str, float], *, succeeded: bool) -> None:
        """Write what the run measured."""
        self._write({f"run/{name}": value for name, value in values.items()}, self._last)

    def attach(self, files: Sequence[Path]) -> None:
        """Keep the figures; TensorBoard has no place for other files."""
        with self._writer() as writer:
            for path in files:
                if path.suffix == ".png":
                    with Image.open(path) as picture:
                        pixels = np.asarray(picture.convert("RGB"))
                    writer.add_image(f"figures/{path.stem}", pixels, self._last, dataformats="HWC")

    def _writer(self) -> SummaryWriter:
        """Open a file of its own: names of one second would be the same, and the reader goes by their order."""
        return SummaryWriter(str(self._folder), filename_suffix=f".{time.time_ns()}")

    def _write(self, values: dict[str, float], step: int) -> None:
        with self._writer() as writer:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
