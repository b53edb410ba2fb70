"""Makes small rounds with random faults for some minutes, and fails if anything leaks or is lost.

    python scripts/soak.py --minutes 30                # the whole soak; a log and a table in results/soak
    python scripts/soak.py --minutes 2 --seed 3        # as the tests do it

A keeper makes run after run of five rounds, under each policy in turn, on one embedded server and one S3 server,
through proxies that break connections, answers and objects at random, with client functions that fail at random; the
seed decides which requests and which attempts. Each run's weights must be those of its counted updates, averaged
afresh, and its tables must keep their laws. Every second the processes, file descriptors and resident memory of the
keeper, the embedded server, its containers, the store and this process are written down. Some ten times the keeper
rests until the embedded server has ended its idle containers: what is held then is not work under way. At the end it
fails

- if what a role holds at rest grows after the warm-up (the first quarter, 4 minutes at most) by more than noise: the
  slope of a linear fit times the time, against the bounds in tests/faults/watch.py;
- if a container is left at a rest;
- if the invocations that the proxy saw are not as many as those in the tables, or a run broke a law;
- if a process is left when all is over.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> int:
    """Soak; return the exit code."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.faults import soak

    return soak.main(__doc__ or "")


if __name__ == "__main__":
    sys.exit(main())
