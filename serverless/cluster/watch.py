"""Watches the pods of a run while it goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from machine.clocks import now
from metrics.collect.cluster_facts import ClusterFacts, PodTrouble, write_cluster
from metrics.collect.row_files import append
from serverless.cluster.api import ClusterUnavailable, KubernetesApi
from serverless.cluster.events import PodEvent, ends_of_containers, warnings
from serverless.cluster.facts import image_digests, node_facts, openwhisk_facts, requests_by_role
from serverless.cluster.pods import Pod, read_pod
from serverless.cluster.settings import ClusterSettings
from serverless.cluster.usage import SOURCE, PodUsage, UsageAccount, read_usage

_MOST_EVENTS = 200  # of a run: an image that cannot be pulled causes an event again and again
_PATIENCE_S = 30.0  # for the last look, at the end of a run
T = TypeVar("T")


@dataclass
class ClusterWatch:
    """Leaves rows in ``samples`` and the facts of the cluster in the run's folder; never raises.

    Parameters
    ----------
    run_id, directory
        The run and its folder.
    """

    settings: ClusterSettings
    run_id: str
    directory: Path
    started_at: float = field(default_factory=now)
    facts: ClusterFacts = field(init=False)
    _notes: dict[str, int] = field(default_factory=dict)
    _events: dict[PodEvent, None] = field(default_factory=dict)
    _account: UsageAccount = field(init=False)
    _end: threading.Event = field(default_factory=threading.Event)
    _samples: int = 0
    _cpu_s: float = 0.0

    def __post_init__(self) -> None:
        self._account = UsageAccount(self.started_at)
        self.facts = ClusterFacts(images={}, requested={}, events=[], notes=[], watch={})

    def run(self) -> None:
        """Look at the cluster until :meth:`stop`, and once more then; the body of a thread."""
        try:
            api = KubernetesApi(self.settings)
        except ClusterUnavailable as error:
            self._note(str(error))
            self._keep()
            return
        self._try(lambda: self._first_look(api))
        while not self._end.wait(self.settings.every_s):
            self._try(lambda: self.look(api))
        self._try(lambda: self.look(api))
        self._keep()
        api.close()

    def _try(self, look: Callable[[], None]) -> None:
        try:
            look()
        except Exception as error:  # whatever it is, watching must not end what is watched
            self._note(f"a look at the cluster failed: {type(error).__name__}: {error}")

    def stop(self) -> None:
        """Ask :meth:`run` to end."""
        self._end.set()

    def look(self, api: KubernetesApi) -> None:
        """Take one sample, and keep what is known so far."""
        start, sampled_at = time.thread_time(), now()
        found = self._pods(api)
        pods = [pod for pod, _ in found]
        self.facts["images"] |= image_digests(pods)
        self.facts["requested"] |= requests_by_role(pods)
        usages = [usage for namespace in self._namespaces() for usage in self._usages(api, namespace)]
        rows = self._account.rows(self.run_id, sampled_at, pods, usages)
        if rows:
            append(self.directory, *rows)
            self._samples += 1
        self._add_events(ends_of_containers([raw for _, raw in found], self.started_at))
        for namespace in self._namespaces():
            self._add_events(warnings(self._list(api.events, namespace), self.started_at))
        self._cpu_s += time.thread_time() - start
        self._keep()

    def _first_look(self, api: KubernetesApi) -> None:
        self.facts["kubernetes"] = self._asked(api.version)
        self.facts["nodes"] = [node_facts(node) for node in self._list(api.nodes)]
        self.facts["openwhisk"] = openwhisk_facts(self._list(api.pods, self.settings.namespace))
        self.look(api)

    def _namespaces(self) -> list[str]:
        return list(dict.fromkeys(filter(None, [self.settings.namespace, self.settings.store_namespace])))

    def _pods(self, api: KubernetesApi) -> list[tuple[Pod, Any]]:
        return [
            (read_pod(pod, in_store=namespace != self.settings.namespace), pod)
            for namespace in self._namespaces()
            for pod in self._list(api.pods, namespace)
        ]

    def _usages(self, api: KubernetesApi, namespace: str) -> list[PodUsage]:
        return [read_usage(item) for item in self._list(api.pod_metrics, namespace)]

    def _list(self, ask: Callable[..., list[T]], *arguments: str) -> list[T]:
        return self._asked(ask, *arguments) or []

    def _asked(self, ask: Callable[..., T], *arguments: str) -> T | None:
        """Return an answer, or note that the cluster did not give one."""
        try:
            return ask(*arguments)
        except ClusterUnavailable as error:
            self._note(str(error))
            return None

    def _add_events(self, events: Iterator[PodEvent]) -> None:
        for event in events:
            if len(self._events) < _MOST_EVENTS:
                self._events.setdefault(event)

    def _note(self, text: str) -> None:
        if text not in self._notes:
            print(f"cluster: {text}", flush=True)  # into the run's log
        self._notes[text] = self._notes.get(text, 0) + 1

    def _keep(self) -> None:
        self.facts["events"] = [_trouble(event) for event in sorted(self._events, key=lambda event: event.at)]
        notes = self._notes.items()
        self.facts["notes"] = [f"{text} ({times} times)" if times > 1 else text for text, times in notes]
        self.facts["watch"] = {
            "source": SOURCE,
            "samples": self._samples,
            "cpu_s": self._cpu_s,
            "context": self.settings.context,
            "namespace": self.settings.namespace,
            "store_namespace": self.settings.store_namespace,
            "every_s": self.settings.every_s,
        }
        write_cluster(self.directory, self.facts)


def _trouble(event: PodEvent) -> PodTrouble:
    return PodTrouble(at=event.at, pod=event.pod, role=event.role, reason=event.reason, message=event.message)


@contextmanager
def watch_cluster(settings: ClusterSettings | None, run_id: str, directory: Path) -> Iterator[None]:
    """Watch a cluster for the time of the context; ``None`` watches nothing."""
    if settings is None:
        yield
        return
    watch = ClusterWatch(settings, run_id, directory)
    thread = threading.Thread(target=watch.run, name="cluster-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watch.stop()
        thread.join(_PATIENCE_S)
