"""The first process of a function's container: OpenWhisk's action-container contract on port 8080.

The contract itself (``/init``, ``/run``, the markers in the logs) is
``serverless/emulator/containers/action_proxy.py``, which is beside this file in the image. Two things are different
here. No server is the parent of the container, so that it does not end with one. And the invoker may open a new
connection while an old one is still open, so that a connection must not block the others. Functions run in the main
thread, one at a time, as OpenWhisk requires (concurrency 1).
"""

from __future__ import annotations

import argparse
import os
import selectors
import signal
import socket
import sys
from types import FrameType

import action_proxy

PORT = 8080  # where OpenWhisk's invoker looks for it


class _Connection(action_proxy.Handler):  # type: ignore[misc]
    """A connection whose requests :func:`serve` has answered when they arrive, without a loop of its own."""

    def handle(self) -> None:
        """Wait: :func:`serve` says when."""

    def finish(self) -> None:
        """Stay open."""

    def answer(self) -> bool:
        """Answer one request; return whether the connection stays open."""
        try:
            self.handle_one_request()
        except OSError:  # the other side is gone
            self.close_connection = True
        return not self.close_connection


def serve(listener: socket.socket) -> None:
    """Answer the requests of all connections, until the process ends."""
    action_proxy.Handler.proxy = action_proxy.ActionProxy()
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, address = listener.accept()
                    selector.register(connection, selectors.EVENT_READ, _Connection(connection, address, None))
                elif not key.data.answer():
                    selector.unregister(key.fileobj)
                    key.data.connection.close()


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)  # at once, also within a function: the platform does not wait for it any more


def main() -> None:
    """Listen and serve."""
    parser = argparse.ArgumentParser(description="OpenWhisk's action-container contract")
    everywhere = "0.0.0.0"  # nosec B104 # it is alone in a container, behind the platform's network
    parser.add_argument("--host", default=everywhere, help="address; all of the container's by default")
    parser.add_argument("--port", type=int, default=PORT, help="port; 0 takes a free one and prints it")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)  # the first process of a container has no default answer to it
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with socket.create_server((arguments.host, arguments.port)) as listener:
        if arguments.port == 0:
            print(listener.getsockname()[1], flush=True)
        serve(listener)


if __name__ == "__main__":
    main()
