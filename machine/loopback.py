"""Sockets of loopback: bound before the process that serves starts, and open to this user's processes only.

Every user of a machine can reach a port of loopback. The kernel knows whose process has opened a connection to it.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

HOST = "127.0.0.1"
_CONNECTIONS = Path("/proc/net/tcp")  # man 5 proc: sl, local, remote, state, queues, timer, retransmits, uid, ...
_ESTABLISHED = "01"  # in any other state the kernel may have forgotten the user
_BACKLOG = 2048

Address = tuple[str, int]


def listener() -> socket.socket:
    """Return a socket that listens on a free port of loopback, for a child process that is to serve there.

    The port is this process's until the child has the socket, so that nobody can take it in between.
    """
    return socket.create_server((HOST, 0), backlog=_BACKLOG)


def reserved_port() -> int:
    """Return a port of loopback that the kernel gives to nobody who asks for any free one, for about a minute.

    For a program that takes the number of a port instead of a socket. It must set SO_REUSEADDR before it binds, as
    servers do: the end of a connection that closed first keeps the port (TIME_WAIT, RFC 9293, 3.3.2).
    """
    with listener() as server, socket.create_connection(server.getsockname()):
        server.accept()[0].close()
        return int(server.getsockname()[1])


def address_of(server: socket.socket) -> str:
    """Return ``host:port`` of a listening socket."""
    return "{}:{}".format(*server.getsockname())


def user_of(peer: Address, served: Address) -> int | None:
    """Return the id of the user who opened a connection to a port of this machine.

    Parameters
    ----------
    peer, served
        The address that connects, and the one that is served; IPv4.

    Returns
    -------
    int or None
        ``None`` if the connection is not, or no longer, open on this machine.
    """
    ends = [_written(peer), _written(served), _ESTABLISHED]
    for line in _CONNECTIONS.read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1:4] == ends:
            return int(fields[7])
    return None


def is_mine(peer: Address, served: Address) -> bool:
    """Whether a process of this process's user has opened the connection from ``peer`` to ``served``."""
    return user_of(peer, served) == os.getuid()


def _written(address: Address) -> str:
    """Return an address as the kernel writes it: the four bytes as one number of this machine's byte order."""
    host, port = address
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
