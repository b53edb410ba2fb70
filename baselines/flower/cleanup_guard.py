"""Ends a federation's processes when the process that started them is gone, even if it was killed.

Usage (by :mod:`baselines.flower.processes`)::

    python -m baselines.flower.cleanup_guard FOLDER
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from baselines.flower.processes import end_all


def main() -> None:
    """Wait for the end of the input, then clean up."""
    for sent_to_a_whole_group in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sent_to_a_whole_group, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_all(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
