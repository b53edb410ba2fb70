"""``__main__.py`` of a client function that goes wrong by plan, and else is the real one.

The plan is a file of this machine, so that one deployed action, warm, serves many plans. Each fault that happens leaves
a line in a file beside it.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from machine.clocks import now
from metrics.collect.probe import WorkerProcess
from serverless.functions import client, transfer
from serverless.functions.openwhisk.answers import named
from task.weights import dumps, loads

WORKER = WorkerProcess(ready_at=now())
PLAN = Path("@PLAN@")  # put in by the deployer
NO_SPACE = 28


def main(args: dict[str, Any]) -> Any:
    """Run one activation, or fail."""
    kind = _fault(args)
    if kind is None or kind == "full":
        with_space = transfer.write_whole
        if kind:
            _fill_the_drive()
        try:
            return named(args, client.handle(args, WORKER))
        finally:
            transfer.write_whole = with_space
    with PLAN.with_suffix(".happened").open("a") as happened:
        happened.write(f"{kind}\n")
    return globals()[f"_{kind}"](args)


def _fault(args: dict[str, Any]) -> str | None:
    attempt = int(re.search(r"attempt-(\d+)", args["update_url"])[1])
    for entry in json.loads(PLAN.read_text()):
        wanted = {"attempt": attempt, "client_id": args["client_id"], "server_round": args["server_round"]}
        if "rates" in entry:
            return _by_chance(entry["rates"], f"{entry['seed']} {args['update_url'].partition('?')[0]}")
        if wanted.items() <= entry.items():
            return str(entry["kind"])
    return None


def _by_chance(rates: dict[str, float], seed: str) -> str | None:
    drawn = random.Random(seed).random()
    for kind, rate in rates.items():
        drawn -= rate
        if drawn < 0:
            return kind
    return None


def _fill_the_drive() -> None:
    """The next two writes find no space; the one after that does."""
    write, left = transfer.write_whole, [NO_SPACE, NO_SPACE]

    def failing(path: Path, data: bytes, *, durable: bool) -> None:
        if left:
            with PLAN.with_suffix(".happened").open("a") as happened:
                happened.write("full\n")
            raise OSError(left.pop(), "No space left on device")
        write(path, data, durable=durable)

    transfer.write_whole = failing


def _hangs(args: dict[str, Any]) -> None:
    while True:
        time.sleep(1)


def _slow(args: dict[str, Any]) -> Any:
    time.sleep(2)
    return named(args, client.handle(args, WORKER))


def _memory(args: dict[str, Any]) -> None:
    held = []
    while True:
        held.append(b"x" * (32 << 20))


def _raises(args: dict[str, Any]) -> None:
    raise RuntimeError("the client had a bad day")


def _exits(args: dict[str, Any]) -> None:
    os._exit(1)


def _text(args: dict[str, Any]) -> str:
    return "not an object"


def _rubbish(args: dict[str, Any]) -> dict[str, Any]:
    return named(args, {"num_examples": "many", "work": {"spans": [{}]}})


def _nothing_stored(args: dict[str, Any]) -> dict[str, Any]:
    delivered, transfer_deliver = [], client.deliver
    client.deliver = lambda url, data: delivered.append(url)
    try:
        return named(args, client.handle(args, WORKER))
    finally:
        client.deliver = transfer_deliver


def _wrong_shapes(args: dict[str, Any]) -> Any:
    return _spoilt(args, lambda data: dumps({name: array[..., :-1] for name, array in loads(data).items()}))


def _nan(args: dict[str, Any]) -> Any:
    return _spoilt(args, lambda data: dumps({name: array * np.float32("nan") for name, array in loads(data).items()}))


def _truncated(args: dict[str, Any]) -> Any:
    return _spoilt(args, lambda data: data[: len(data) // 2])


def _spoilt(args: dict[str, Any], spoil: Any) -> Any:
    """Do the work, but store something else than what was learnt."""
    deliver = client.deliver
    client.deliver = lambda url, data: deliver(url, spoil(data))
    try:
        return named(args, client.handle(args, WORKER))
    finally:
        client.deliver = deliver
