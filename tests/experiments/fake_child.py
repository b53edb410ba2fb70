"""The process of a run with an invented backend: ``python fake_child.py RUN_DIRECTORY``.

What the backend does is in the environment variable FAKE_BACKEND. Everything else is
``experiments.runs.child`` as it is, but for its patience.
"""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.config.backend_settings import in_a_pool
from experiments.config.backends import BACKENDS, Backend
from experiments.runs import child
from machine.processes import end_descendants
from metrics.collect.recorder import Recorder
from metrics.collect.row_types import RoundRow
from task.job import FederatedJob
from task.weights import Weights

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
BUSY = "import time\nwhile time.process_time() < 0.5: pass"
MODEL = json.loads(os.environ.get("FAKE_ROUND", "{}"))


def run(job: FederatedJob, settings: Any, recorder: Recorder) -> Weights:
    behaviour = os.environ["FAKE_BACKEND"]
    with recorder.setup("start"):
        start_helpers(recorder.directory)
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for server_round in range(1, 10_000 if behaviour in ("endless", "stubborn") else job.rounds + 1):
        recorder.round(RoundRow(**{**MODEL, "run_id": recorder.run_id, "server_round": server_round}), [])
        if behaviour == "fail":
            raise RuntimeError("the disk is full")
        if behaviour == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if behaviour == "exit":
            os._exit(3)
        time.sleep(0.05)
    return {"bias": np.arange(3, dtype=np.float32)}


def start_helpers(directory: Path) -> None:
    """Leave what backends leave: a busy child, a daemon of its own session, one that ignores SIGTERM, one stopped."""
    environment = os.environ | {"FL_PROCESS_ROLE": "client"}
    subprocess.Popen([sys.executable, "-c", BUSY], env=environment)
    daemon = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], start_new_session=True)"
    subprocess.run([sys.executable, "-c", daemon], env=environment, check=True)
    stopped = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], env=environment)
    stopped.send_signal(signal.SIGSTOP)
    (directory / "helpers").write_text("started")


BACKENDS["inprocess"] = Backend(__name__, lambda config, directory: None, in_a_pool, ("workers",))
child.end_descendants = partial(end_descendants, patience_s=0.3)

if __name__ == "__main__":
    child.leave(child.main(Path(sys.argv[1])))
