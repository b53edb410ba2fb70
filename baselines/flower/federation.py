"""How a Flower federation is started: the one file that knows Flower's commands, ports and environment variables."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import requests

from baselines.flower.client_app import PARTITION
from baselines.flower.processes import Processes
from baselines.flower.settings import FlowerSettings
from task.engines.runtime import ONE_THREAD
from task.job import FederatedJob

APP = Path(__file__).parent / "app"
ENVIRONMENT = {
    **ONE_THREAD,
    "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]),
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONUNBUFFERED": "1",
    "FL_PROCESS_ROLE": "controller",  # programs that inherit it are distinguished by their names
}
_LOOPBACK = "127.0.0.1"
_POLL_S = 0.05


class FlowerError(RuntimeError):
    """The federation could not be started, or its run failed."""


class Federation:
    """A SuperLink and its nodes, on loopback."""

    def __init__(self, processes: Processes, settings: FlowerSettings) -> None:
        self._processes, self._settings = processes, settings
        self._port = free_port()
        self._address = f"{_LOOPBACK}:{self._port}"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start_superlink(self) -> None:
        """Start the SuperLink and wait until it serves.

        Raises
        ------
        FlowerError
            If it ends, or does not serve in time.
        """
        command = [_script("flower-superlink"), "--insecure", "--host", _LOOPBACK, "--port", str(self._port)]
        if self._settings.runtime == "simulation":
            command.append("--simulation")
        self._daemons["SuperLink"] = self._processes.start(command)
        self.wait(self._serves, "the SuperLink does not serve")

    def start_supernodes(self, clients: int) -> None:
        """Start a SuperNode per client; they connect in their own time."""
        for client in range(clients):
            command = [_script("flower-supernode"), "--insecure", "--superlink", self._address]
            command += ["--host", _LOOPBACK, "--port", str(free_port())]
            command += ["--node-config", f"{PARTITION}={client} num-partitions={clients}"]
            self._daemons[f"SuperNode of client {client}"] = self._processes.start(command)

    def submit(self, job: FederatedJob, plan: Path) -> subprocess.Popen[bytes]:
        """Run the app; the process that is returned ends with the run, and prints the app's log."""
        config = f'[superlink]\ndefault = "bench"\n\n[superlink.bench]\naddress = "{self._address}"\ninsecure = true\n'
        (self._processes.folder / "config.toml").write_text(config, encoding="utf-8")
        run_config = self._processes.folder / "run.toml"
        run_config.write_text(f"plan = {json.dumps(str(plan))}\n", encoding="utf-8")
        command = [_script("flwr"), "run", str(APP), "bench", "--stream", "--run-config", str(run_config)]
        if self._settings.runtime == "simulation":
            resources = (
                f"num-supernodes={job.clients} client-resources-num-cpus=1 client-resources-num-gpus=0.0 "
                f"init-args-num-cpus={self._settings.workers}"
            )
            command += ["--federation-config", resources]
        return self._processes.start(command)

    def wait(self, happened: Callable[[], bool], otherwise: str) -> None:
        """Wait until ``happened``.

        Raises
        ------
        FlowerError
            If a process that must stay has ended, or it takes longer than ``startup_timeout_s``.
        """
        deadline = time.monotonic() + self._settings.startup_timeout_s
        while not happened():
            self.check()
            if time.monotonic() > deadline:
                limit = f"flower.startup_timeout_s={self._settings.startup_timeout_s:g}"
                raise FlowerError(f"{otherwise} after {limit}")
            time.sleep(_POLL_S)

    def check(self) -> None:
        """Raise :class:`FlowerError` if the SuperLink or a SuperNode has ended."""
        for name, process in self._daemons.items():
            if process.poll() is not None:
                raise FlowerError(f"the {name} ended with exit status {process.returncode}")

    def _serves(self) -> bool:
        try:
            return requests.get(f"http://{self._address}/health", timeout=1).ok
        except requests.RequestException:
            return False


def free_port() -> int:
    """Return a TCP port of loopback on which no process listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((_LOOPBACK, 0))
        return int(server.getsockname()[1])


def _script(name: str) -> str:
    """Return the path of a command that Flower's package installs beside the running Python."""
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise FlowerError(f"{path} does not exist: install flwr[simulation] into the environment of this Python")
    return str(path)
