"""Which engine this copy of the functions was packed for.

:mod:`serverless.platforms.function_zip` writes it, a cold start reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from task.engines.engine import load_engine
from task.models import EngineName

ENGINE = "engine.txt"  # beside __main__.py: the name of the engine, such as numpy
_PACKAGE = Path(__file__).resolve().parents[2]


def import_engine(package: Path = _PACKAGE) -> None:
    """Import the engine, so that a cold start pays for it and not the first piece of work.

    Without the file, as in a checkout of the project, the first piece of work imports what its model needs.

    Parameters
    ----------
    package
        The folder that the function's package was unpacked into.
    """
    file = package / ENGINE
    if file.is_file():
        load_engine(cast(EngineName, file.read_text(encoding="utf-8").strip()))
