"""Makes one experiment on a bad day, for the figure of a run under faults.

    python scripts/bad_day.py                          # results/evidence/faults, and its figure
    python scripts/bad_day.py --seed 4 --out results/another_day

Ten clients, six rounds that close after the first eight updates, real MNIST, functions of the small network on the
embedded server, their objects on MinIO. Proxies break connections, answers and objects, and functions fail, at random
by the seed, about twice as often as in a soak. The tables are an experiment's own; every round's weights are then held
to those of its counted updates, averaged afresh.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Make the run and draw it; return the exit code."""
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)  # where the run's own process finds what breaks it
    from tests.faults import bad_day

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="decides the faults (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "results" / "evidence" / "faults", help="folder of the tables"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fl-bad-day-") as folder:
        return bad_day.live(Path(folder), options.out, options.seed)


if __name__ == "__main__":
    sys.exit(main())
