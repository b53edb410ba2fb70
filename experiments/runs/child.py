"""The process of one run: ``python -m experiments.runs.child RUN_DIRECTORY``, started by ``experiments.run``.

It runs the backend, writes its outcome, and ends every process that the backend left. It stops on SIGTERM, and by
itself when the process that watches it is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

from experiments.config.backends import BACKENDS
from experiments.config.schema import ExperimentConfig
from experiments.runs.run_files import FINAL_WEIGHTS, Outcome, RunFile
from machine.clocks import now, process_started_at
from machine.files import private, write_whole
from machine.processes import adopting_orphans, descendants, end_descendants, end_with_parent
from metrics.collect import checkpoints
from metrics.collect.recorder import Recorder, WatcherGone
from task import weights

_EXIT_PATIENCE_S = 10.0  # for what libraries do at the exit of Python
EXIT_CODES = {"success": 0, "failed": 1, "interrupted": 130}


def main(directory: Path) -> int:
    """Make the run that ``directory`` describes; return its exit code."""
    run = RunFile.read(directory)
    with private(), adopting_orphans():
        try:
            outcome = _attempt(run, directory)
        except KeyboardInterrupt as error:  # a signal in the moment after the backend's end
            outcome = Outcome("interrupted", str(error))
        left = end_descendants(keep=_resource_trackers())
    if left:
        print(f"ended what the backend had left running: {', '.join(left)}", file=sys.stderr)
    outcome.write(directory)
    if outcome.status == "success":
        checkpoints.forget(directory)
    return EXIT_CODES[outcome.status]


def _attempt(run: RunFile, directory: Path) -> Outcome:
    """Run the backend, and return how it ended; signals to stop have no effect after it."""
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGINT, _interrupt)
        end_with_parent(run.watcher_pid)
        return _run_backend(run, directory)
    except BaseException as error:  # whatever it is, the run ends in good order and reports it
        traceback.print_exc()
        # a library may have replaced our handler of SIGTERM: then the missing parent shows that the run was stopped
        if isinstance(error, KeyboardInterrupt | WatcherGone) or os.getppid() != run.watcher_pid:
            return Outcome("interrupted", str(error))
        return Outcome("failed", f"{type(error).__name__}: {error}")
    finally:
        _ignore_signals()


def _run_backend(run: RunFile, directory: Path) -> Outcome:
    backend = BACKENDS[run.backend]
    recorder = Recorder(run.run_id, directory, run.watcher, run.part)
    recorder.setup_took("start the process", now() - process_started_at())
    with recorder.setup(f"import {run.backend}"):
        start = backend.load()
        settings = backend.settings(ExperimentConfig.from_dict(run.config), directory.absolute())
    final = start(run.job, settings, recorder)
    write_whole(directory / FINAL_WEIGHTS, weights.dumps(final))
    return Outcome("success", final_weights_sha256=weights.sha256(final))


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _ignore_signals()  # a second one must not break the cleaning up that the first one begins
    raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")


def _ignore_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _resource_trackers() -> list[int]:
    """Return Python's own helpers of :mod:`multiprocessing`: they ignore SIGTERM and end right after this process."""
    trackers = []
    for process in descendants():
        with suppress(psutil.Error):
            if any("multiprocessing.resource_tracker" in word for word in process.cmdline()):
                trackers.append(process.pid)
    return trackers


def leave(code: int) -> None:
    """End this process; threads that a library left running do not delay it."""
    sys.stdout.flush()
    sys.stderr.flush()
    last_resort = threading.Timer(_EXIT_PATIENCE_S, os._exit, [code])
    last_resort.daemon = True
    last_resort.start()
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main(Path(sys.argv[1])))
