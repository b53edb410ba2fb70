"""How fast is the embedded server? Printed beside a plain ``http.server`` on the same machine in the same run.

    python scripts/bench_emulator.py [--calls 2000] [--queued 1000] [--workers 2]

Two clients' threads call a trivial action, warm; the yardstick is ``http.server`` of the standard library, which
answers the same JSON itself. Then many non-blocking activations are queued at once, and every one must be answered.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from serverless.emulator.launcher import EmulatorHandle, start_emulator
from serverless.emulator.settings import EmulatorSettings

TRIVIAL = "def main(args):\n    return {'ok': True}\n"
ANSWER = json.dumps({"ok": True}).encode()
Call = Callable[[requests.Session], None]


class _Plain(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        pass


def _serve_plain(port: multiprocessing.Queue[int]) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Plain)
    port.put(server.server_port)
    server.serve_forever()


@contextmanager
def plain_server() -> Iterator[str]:
    """Run the yardstick in a process of its own, as the embedded server is in one."""
    context = multiprocessing.get_context("spawn")
    port: multiprocessing.Queue[int] = context.Queue()
    process = context.Process(target=_serve_plain, args=(port,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{port.get(timeout=30)}/"
    finally:
        process.terminate()
        process.join()


def measure(name: str, call: Call, new_session: Callable[[], requests.Session], calls: int, workers: int) -> None:
    """Time ``calls`` calls from ``workers`` threads, each with one connection, and print a line."""
    sessions, local = [new_session() for _ in range(workers)], threading.local()
    free = iter(sessions)

    def one(_: int) -> float:
        if not hasattr(local, "session"):
            local.session = next(free)
        start = time.perf_counter()
        call(local.session)
        return time.perf_counter() - start

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, range(20 * workers)))  # connections and containers are made here
        start = time.perf_counter()
        seconds = list(pool.map(one, range(calls)))
        total_s = time.perf_counter() - start
    cuts = statistics.quantiles(seconds, n=100)
    print(
        f"{name:<38} {calls / total_s:8.0f} /s   p50 {cuts[49] * 1000:6.2f} ms   p99 {cuts[98] * 1000:6.2f} ms   "
        f"max {max(seconds) * 1000:6.2f} ms"
    )


class Bench:
    """The embedded server under test."""

    def __init__(self, handle: EmulatorHandle) -> None:
        self.url = f"{handle.api_host}/api/v1/namespaces/_"
        name, _, key = handle.auth.partition(":")
        self.auth = name, key
        self.session = self.new_session()

    def new_session(self) -> requests.Session:
        """Return a session with the key."""
        session = requests.Session()
        session.auth = self.auth
        return session

    def put(self, name: str) -> None:
        """Create the trivial action."""
        body = {"exec": {"kind": "python:3", "code": TRIVIAL}, "limits": {"memory": 128}}
        self.session.put(f"{self.url}/actions/{name}?overwrite=true", json=body).raise_for_status()

    def blocking(self, session: requests.Session) -> None:
        """Call the trivial action and check its answer."""
        answer = session.post(f"{self.url}/actions/trivial?blocking=true&result=true", json={})
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"ok": True}

    def first_calls(self, what: str, starts: int) -> None:
        """Time first calls, each in a container that has not run the action."""
        seconds = []
        for _ in range(starts):
            self.put("trivial")  # a new revision: nothing warm serves it
            start = time.perf_counter()
            self.blocking(self.session)
            seconds.append(time.perf_counter() - start)
        print(f"{what:<38} median {statistics.median(seconds) * 1000:6.1f} ms of {starts}")

    def wake_up(self, pause_after_s: float, wakes: int) -> None:
        """Time calls into paused containers."""
        seconds = []
        for _ in range(wakes):
            time.sleep(pause_after_s + 0.3)
            start = time.perf_counter()
            self.blocking(self.session)
            seconds.append(time.perf_counter() - start)
        print(f"{'call into a paused container':<38} median {statistics.median(seconds) * 1000:6.1f} ms of {wakes}")

    def queue(self, queued: int, workers: int) -> None:
        """Submit non-blocking activations, then wait until each has its record."""
        local = threading.local()

        def submit(_: int) -> str:
            local.session = getattr(local, "session", None) or self.new_session()
            answer = local.session.post(f"{self.url}/actions/trivial", json={})
            assert answer.status_code == 202, answer.text
            return str(answer.json()["activationId"])

        start = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            ids = set(pool.map(submit, range(queued)))
        submitted_s = time.perf_counter() - start
        succeeded = 0
        for activation_id in ids:
            while (record := self.session.get(f"{self.url}/activations/{activation_id}")).status_code == 404:
                time.sleep(0.005)
            succeeded += record.json()["response"]["success"]
        total_s = time.perf_counter() - start
        print(
            f"{'queued non-blocking activations':<38} {succeeded} of {queued} answered, submitted in "
            f"{submitted_s:.2f} s, all done in {total_s:.2f} s"
        )


def main() -> None:
    """Run all and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--queued", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    settings = EmulatorSettings(
        invocations_per_minute=1_000_000, concurrent_invocations=options.queued + 100, pause_after_s=0.5
    )
    with plain_server() as url:
        measure(
            "plain http.server",
            lambda session: session.post(url, json={}).raise_for_status(),
            requests.Session,
            options.calls,
            options.workers,
        )
    with (
        tempfile.TemporaryDirectory() as folder,
        start_emulator(settings, Path(folder, "emulator.log")) as handle,
    ):
        bench = Bench(handle)
        print(f"{'embedded server':<38} memory limits held by {handle.memory_enforcement}")
        bench.first_calls("cold start (process, init, run)", 10)
        measure("warm blocking invocations", bench.blocking, bench.new_session, options.calls, options.workers)
        measure("warm blocking, one after the other", bench.blocking, bench.new_session, options.calls, 1)
        bench.wake_up(settings.pause_after_s, 5)
        bench.queue(options.queued, options.workers)


if __name__ == "__main__":
    main()
