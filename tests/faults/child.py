"""``experiments.runs.child`` on a bad day: the embedded server behind a failing proxy, and client functions that fail.

:mod:`tests.faults.bad_day` starts it in place of ``experiments.runs.child``. ``FAULTS_FOLDER`` and ``FAULTS_SEED``
say where the plan of the functions is, and which requests go wrong.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from serverless.emulator import launcher
from serverless.platforms.openwhisk import deploy
from tests.faults.proxy import faulty
from tests.faults.random_day import platform_steps
from tests.faults.world import faulty_package


def main() -> None:
    """Break what the run is about to use, and run it."""
    folder, seed = Path(os.environ["FAULTS_FOLDER"]), int(os.environ["FAULTS_SEED"])
    start = launcher.start_emulator

    @contextmanager
    def start_behind_a_proxy(*settings: Any) -> Iterator[launcher.EmulatorHandle]:
        with start(*settings) as server, faulty(server.api_host) as proxy:
            proxy.plan(*platform_steps(seed, more_often=2))
            yield replace(server, api_host=f"http://{proxy.endpoint}")

    launcher.start_emulator = start_behind_a_proxy
    deploy.package = lambda *args, **more: faulty_package(folder / "functions.json", *args, **more)
    runpy.run_module("experiments.runs.child", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
