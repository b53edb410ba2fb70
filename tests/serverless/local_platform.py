"""A platform of threads in this process: the real functions, with faults where a script says so."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from metrics.collect.probe import WorkerProcess
from serverless.functions import client, store_limit
from serverless.functions.aggregator import Aggregator
from serverless.functions.transfer import TransferError
from serverless.platforms.protocol import Invocation
from task.weights import dumps, loads

WORKER = WorkerProcess(time.time())
HANDLERS = {"client": partial(client.handle, worker=WORKER), "aggregator": Aggregator(WORKER).handle}
RUBBISH: dict[str, Callable[[dict[str, Any]], Any]] = {
    "rubbish": lambda answer: {"hello": "world"},
    "no work": lambda answer: {key: value for key, value in answer.items() if key != "work"},
    "nothing": lambda answer: None,
    "wrong count": lambda answer: answer | {"num_examples": 1},
}
CORRUPT: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[: len(data) // 2],
    "not finite": lambda data: dumps({name: np.full_like(array, np.nan) for name, array in loads(data).items()}),
    "shapes": lambda data: dumps({name: array[..., :1] for name, array in loads(data).items()}),
    "names": lambda data: dumps({f"{name}x": array for name, array in loads(data).items()}),
}
ONLY_FOR_CLIENTS = ("wrong count", *CORRUPT)


@dataclass(frozen=True)
class Call:
    """Which attempt a call is."""

    function: str
    server_round: int
    client_id: int | None
    attempt: int


@dataclass
class LocalPlatform:
    """Runs functions one after the other, and answers as ``script`` says: by the name of a fault, or ``ok``."""

    script: Callable[[Call], str]
    calls: list[Call] = field(default_factory=list)
    gates: dict[str, threading.Event] = field(default_factory=dict)
    background: list[threading.Thread] = field(default_factory=list)
    name: str = "local"
    is_embedded: bool = True
    store: str | None = None
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def deploy(self, function: Any) -> None:
        """Note what the function may reach."""
        self.store = function.store

    def invoke(self, function: Any, params: dict[str, Any]) -> Invocation:
        """Run the function here."""
        call = call_of(function.name, params)
        with self._one_at_a_time:
            self.calls.append(call)
        fault = self.script(call)
        if fault in self.gates:
            assert self.gates[fault].wait(30)
        if fault.startswith("slow"):
            time.sleep(float(fault.split()[1]))
        if fault == "throttled":
            return Invocation(None, None, "throttled", "too many", may_have_run=False)
        if fault == "raises":
            return Invocation("a", None, "application error", "it raised")
        if fault == "lost, late":
            later = threading.Timer(0.05, self._run_unheard, [function.name, params])
            later.start()
            self.background.append(later)
            return Invocation(None, None, "no answer", "dropped")
        answer = self._run(function.name, params)
        if fault == "lost":
            return Invocation(None, None, "no answer", "dropped")
        if fault in CORRUPT:
            path = Path(params["update_url"].removeprefix("file://"))
            path.write_bytes(CORRUPT[fault](path.read_bytes()))
        return Invocation("a", RUBBISH.get(fault, lambda answer: answer)(answer))

    def _run_unheard(self, name: str, params: dict[str, Any]) -> None:
        with suppress(TransferError):  # the run may be over, and its objects gone
            self._run(name, params)

    def _run(self, name: str, params: dict[str, Any]) -> Any:
        with self._one_at_a_time, patch.object(store_limit, "deployed_store", lambda: self.store):
            return json.loads(json.dumps(HANDLERS[name](params)))


def call_of(function: str, params: dict[str, Any]) -> Call:
    """Read from its keys which attempt a call is."""
    url = params.get("update_url") or params["weights_url"]
    (found,) = re.findall(r"round-(\d+).*attempt-(\d+)\.safetensors", url)
    return Call(function, int(found[0]), params.get("client_id"), int(found[1]))
