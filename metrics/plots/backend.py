"""Matplotlib, imported whatever MPLBACKEND says.

The variable chooses how figures reach a screen, and Jupyter sets it for every process that a notebook starts. Figures
are files here. But Matplotlib cannot be imported where the variable names a backend that is not installed.
"""

from __future__ import annotations

import os
from contextlib import suppress

_VARIABLE = "MPLBACKEND"

_wanted = os.environ.pop(_VARIABLE, None)
try:
    import matplotlib as mpl
finally:
    if _wanted is not None:
        os.environ[_VARIABLE] = _wanted
if _wanted:
    with suppress(ValueError):
        mpl.rcParams["backend"] = _wanted

__all__ = ["mpl"]
