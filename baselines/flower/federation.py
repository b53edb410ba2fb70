"""How a Flower federation is started: the one file that knows Flower's commands, ports and environment variables."""

from __future__ import annotations

import os
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import requests
import tomli_w

from baselines.flower.client_app import PARTITION
from baselines.flower.failures import FlowerError
from baselines.flower.processes import Processes
from baselines.flower.ray_worker import HOOK
from baselines.flower.settings import FlowerSettings
from machine.loopback import address_of, listener
from task.engines.runtime import arithmetic
from task.job import FederatedJob

APP = Path(__file__).parent / "app"
ENVIRONMENT = {
    **arithmetic(os.environ),
    "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]),
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    **HOOK,
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's switch, on Linux too, for ports of loopback only
    "PYTHONUNBUFFERED": "1",
    "FL_PROCESS_ROLE": "controller",  # programs that inherit it are distinguished by their names
}
_FLOWERS_TOKEN_LIFE_S = 30.0
_POLL_S = 0.05


class Federation:
    """A SuperLink and its nodes, on loopback."""

    def __init__(self, processes: Processes, settings: FlowerSettings) -> None:
        self._processes, self._settings = processes, settings
        self._listener = listener()
        self.address = address_of(self._listener)
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start_superlink(self) -> None:
        """Start the SuperLink and wait until it serves.

        Raises
        ------
        FlowerError
            If it ends, or does not serve in time.
        """
        simulated = ["--simulation"] if self._settings.runtime == "simulation" else []
        self._daemons["SuperLink"] = self._serve("flower-superlink", self._listener, simulated)
        self.wait(self._serves, "the SuperLink does not serve")

    def start_supernodes(self, clients: int) -> None:
        """Start a SuperNode per client; they connect in their own time."""
        for client in range(clients):
            arguments = ["--superlink", self.address, "--root-certificates", str(self._processes.keys.authority)]
            arguments += ["--node-config", f"{PARTITION}={client} num-partitions={clients}"]
            self._daemons[f"SuperNode of client {client}"] = self._serve("flower-supernode", listener(), arguments)

    def _serve(self, server: str, at: socket.socket, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start one of Flower's servers on a socket that it inherits (:mod:`baselines.flower.serve`)."""
        host, port = at.getsockname()
        keys, life_s = self._processes.keys, token_life_s(self._settings)
        command = [_script("python"), "-m", "baselines.flower.serve", server, str(at.fileno()), str(life_s)]
        command += ["--host", host, "--port", str(port), "--ssl-ca-certfile", str(keys.authority)]
        command += ["--ssl-certfile", str(keys.certificate), "--ssl-keyfile", str(keys.key), *arguments]
        return self._processes.start(command, at)

    def submit(self, job: FederatedJob, plan: Path) -> subprocess.Popen[bytes]:
        """Run the app; the process that is returned ends with the run, and prints the app's log."""
        server = {"address": self.address, "root-certificates": str(self._processes.keys.authority)}
        self._write("config.toml", {"superlink": {"default": "bench", "bench": server}})
        run_config = self._write("run.toml", {"plan": str(plan)})
        command = [_script("flwr"), "run", str(APP), "bench", "--stream", "--run-config", str(run_config)]
        if self._settings.runtime == "simulation":
            resources = (
                f"num-supernodes={job.clients} client-resources-num-cpus=1 client-resources-num-gpus=0.0 "
                f"init-args-num-cpus={self._settings.workers}"
            )
            command += ["--federation-config", resources]
        return self._processes.start(command)

    def _write(self, name: str, content: dict[str, Any]) -> Path:
        """Write one of Flower's TOML files into its folder."""
        path = self._processes.folder / name
        path.write_bytes(tomli_w.dumps(content).encode())
        return path

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
        return answers_well(f"https://{self.address}/health", verify=str(self._processes.keys.authority))


def answers_well(url: str, verify: str | bool) -> bool:
    """Whether what is at ``url`` answers that it is well."""
    with requests.Session() as session:
        session.trust_env = False  # loopback is not behind a proxy
        session.verify = verify
        try:
            return session.get(url, timeout=1, allow_redirects=False).status_code == 200
        except requests.RequestException:
            return False


def token_life_s(settings: FlowerSettings) -> float:
    """Return how long a process of an app may take until it reports: as long as the federation waits for it."""
    return max(_FLOWERS_TOKEN_LIFE_S, settings.startup_timeout_s)


def _script(name: str) -> str:
    """Return the path of a command that Flower's package installs beside the running Python."""
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise FlowerError(f"{path} does not exist: install flwr[simulation] into the environment of this Python")
    return str(path)
