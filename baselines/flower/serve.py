"""Flower's servers on a socket that they are given, open to the processes of this user only.

Flower's control API runs the app of whoever asks, and knows accounts only with a paid extension; the tokens of its
tasks are in the command lines, which every user can read. So the servers refuse connections of other users altogether.

Usage::

    python -m baselines.flower.serve flower-superlink|flower-supernode FILE_DESCRIPTOR TOKEN_LIFE_S [ARGUMENT ...]
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import Any, cast

import uvicorn
from flwr.common.constant import HEARTBEAT_DEFAULT_INTERVAL, HEARTBEAT_PATIENCE
from flwr.supercore.corestate import in_memory_corestate
from flwr.superlink.cli.flower_superlink import flower_superlink
from flwr.supernode.cli.flower_supernode import flower_supernode

from machine.loopback import is_mine

_COMMANDS = {"flower-superlink": flower_superlink, "flower-supernode": flower_supernode}
_log = logging.getLogger("uvicorn.error")


def for_this_user(protocol: type[Any]) -> type[Any]:
    """Return a protocol of uvicorn that hears processes of this user only: others are hung up on at once."""

    class ForThisUser(protocol):  # type: ignore[misc]
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            peer, served = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
            self.is_refused = not is_mine(peer, served)
            if self.is_refused:
                _log.warning("refused a connection of another user, from port %s", peer[1])
                transport.abort()

        def data_received(self, data: bytes) -> None:
            if not self.is_refused:
                super().data_received(data)

    return ForThisUser


def serve(command: str, descriptor: int, token_life_s: float) -> None:
    """Run one of Flower's servers, with the arguments that are in ``sys.argv``.

    Parameters
    ----------
    command
        Flower's name of it.
    descriptor
        A listening socket that this process has inherited.
    token_life_s
        How long a task's process may take until it first reports, in seconds. Flower's 30 s are not enough for its
        imports on a slow machine. How long it may then be silent is left as it is.
    """
    run = uvicorn.Server.run

    def run_guarded(server: uvicorn.Server, sockets: object = None) -> None:
        server.config.load()
        server.config.http_protocol_class = for_this_user(cast("type[Any]", server.config.http_protocol_class))
        run(server, [socket.socket(fileno=descriptor)])

    uvicorn.Server.run = run_guarded  # type: ignore[assignment,method-assign]
    patience = HEARTBEAT_PATIENCE * HEARTBEAT_DEFAULT_INTERVAL / token_life_s
    vars(in_memory_corestate).update(HEARTBEAT_DEFAULT_INTERVAL=token_life_s, HEARTBEAT_PATIENCE=patience)
    _COMMANDS[command]()


if __name__ == "__main__":
    _, name, given, life_s, *arguments = sys.argv
    sys.argv = [name, *arguments]
    serve(name, int(given), float(life_s))
