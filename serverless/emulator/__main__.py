"""``python -m serverless.emulator``: the server as a program of its own.

It prints one line of JSON, ``{"api_host": ..., "auth": "uuid:key", ...}``, when it is ready, and logs to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import secrets
import signal
import sys
import uuid
from dataclasses import asdict
from pathlib import Path

from machine.credentials import is_public_key
from machine.files import private
from serverless.emulator.front import is_loopback
from serverless.emulator.platform_apis import APIS
from serverless.emulator.server import serve
from serverless.emulator.settings import EmulatorSettings

_AUTH_VARIABLE = "FL_EMULATOR_AUTH"
_PARENT_POLL_S = 0.5
_DESCRIPTION = "OpenWhisk, OpenFaaS and Google Cloud Functions for one machine: containers are processes."


def main(argv: list[str] | None = None) -> None:
    """Serve until SIGTERM, SIGINT, or the end of the parent that was named."""
    parser = argparse.ArgumentParser(prog="python -m serverless.emulator", description=_DESCRIPTION)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--config", help="JSON file with settings, - for stdin (default: OpenWhisk's limits)")
    parser.add_argument(
        "--auth-file", type=Path, help=f"file with the key uuid:key (default: ${_AUTH_VARIABLE}, or a fresh one)"
    )
    parser.add_argument("--with-parent", type=int, metavar="PID", help="end when this parent process ends")
    parser.add_argument(
        "--platform",
        action="append",
        choices=tuple(APIS),
        help="whose API to serve, more than one if repeated (default: openwhisk)",
    )
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        auth, is_fresh = _auth(options.auth_file)
        if (is_fresh or is_public_key(auth)) and not is_loopback(options.host):
            raise ValueError(
                f"--host {options.host} can be reached from other machines: give a key of your own in "
                f"${_AUTH_VARIABLE} or --auth-file (not the guest's that OpenWhisk publishes), or listen on 127.0.0.1"
            )
        with private():
            asyncio.run(_serve(options, _settings(options.config), auth))
    except (ValueError, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


async def _serve(options: argparse.Namespace, settings: EmulatorSettings, auth: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch = loop.create_task(_watch_parent(options.with_parent, stop)) if options.with_parent else None
    platforms = tuple(dict.fromkeys(options.platform or ("openwhisk",)))
    async with serve(settings, auth, options.host, options.port, platforms) as serving:
        logging.getLogger("serverless.emulator").info(
            "serving on %s, memory limits held by %s", serving.api_host, serving.memory_enforcement
        )
        print(json.dumps({**asdict(serving), "auth": auth, "pid": os.getpid()}), flush=True)
        await stop.wait()
    if watch:
        watch.cancel()


async def _watch_parent(pid: int, stop: asyncio.Event) -> None:
    while os.getppid() == pid:
        await asyncio.sleep(_PARENT_POLL_S)
    stop.set()


def _settings(config: str | None) -> EmulatorSettings:
    if config is None:
        return EmulatorSettings()
    return EmulatorSettings.from_json(sys.stdin.read() if config == "-" else Path(config).read_text("utf-8"))


def _auth(file: Path | None) -> tuple[str, bool]:
    """Return the key and whether it was made here. It is never an argument: the process list is public."""
    given = file.read_text("utf-8").strip() if file else os.environ.get(_AUTH_VARIABLE)
    if given is None:
        return f"{uuid.uuid4()}:{secrets.token_urlsafe(48)}", True
    name, _, key = given.partition(":")
    if not (name and key):
        raise ValueError(f"the key in {file or '$' + _AUTH_VARIABLE} must have the form uuid:key")
    return given, False


if __name__ == "__main__":
    main()
