"""A platform from outside the package: its functions are calls within this process, one after the other."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from machine.clocks import now
from metrics.collect.probe import WorkerProcess
from serverless.functions.store_limit import limit_to
from serverless.platforms.descriptor import PlatformDescriptor
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec, Invocation
from serverless.platforms.settings import PlatformSettings


@dataclass(frozen=True)
class ToySettings(PlatformSettings):
    """The toy has one own key: ``latency_s``, seconds by which each call takes longer."""

    name: ClassVar[str] = "toy"

    latency_s: float = 0.01


@dataclass(frozen=True)
class Toy:
    """A :class:`serverless.platforms.protocol.Platform` that calls the functions here."""

    settings: ToySettings
    handlers: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]
    name: str = ToySettings.name
    _deployed: dict[str, FunctionSpec] = field(default_factory=dict)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def deploy(self, function: FunctionSpec) -> None:
        """Remember the function, and what it may reach."""
        self._deployed[function.name] = function
        limit_to(function.store)

    def remove(self, name: str) -> None:
        """Forget the function."""
        self._deployed.pop(name, None)

    def functions(self) -> tuple[str, ...]:
        """Return the names of the deployed functions."""
        return tuple(self._deployed)

    def invoke(self, function: FunctionSpec, params: dict[str, Any]) -> Invocation:
        """Call the function; parameters and answer are JSON, as on any platform."""
        with self._one_at_a_time:
            start = time.monotonic()
            time.sleep(self.settings.latency_s)
            answer = self.handlers[function.name](json.loads(json.dumps(params)))
            seconds = time.monotonic() - start
        return Invocation(uuid.uuid4().hex, json.loads(json.dumps(answer)), provider_s=seconds)


@contextmanager
def open_toy(settings: ToySettings, log_path: Path) -> Iterator[Toy]:
    """Open the toy, and say so in its log."""
    from serverless.functions import client  # a descriptor is light to import: functions are imported here
    from serverless.functions.aggregator import Aggregator

    worker = WorkerProcess(ready_at=now())
    handlers = {"client": partial(client.handle, worker=worker), "aggregator": Aggregator(worker).handle}
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_path.write_text("a toy platform\n", encoding="utf-8")
    yield Toy(settings, handlers)


DESCRIPTOR = PlatformDescriptor(
    ToySettings, opens="tests.support.toy_platform:open_toy", options=Path(__file__).with_name("toy_platform.yaml")
)


@dataclass(frozen=True)
class OtherType(PlatformSettings):
    """Settings with a key of OpenWhisk's, but of another type."""

    name: ClassVar[str] = "other"

    namespace: int = 1


NAMED_LIKE_ANOTHER = PlatformDescriptor(OpenWhiskSettings, opens="tests.support.toy_platform:open_toy")
OTHER_TYPE = PlatformDescriptor(OtherType, opens="tests.support.toy_platform:open_toy")
