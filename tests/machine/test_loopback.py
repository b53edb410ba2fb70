"""Whose connection it is."""

import os
import socket
import subprocess
import sys

import pytest

from machine.loopback import address_of, is_mine, listener, reserved_port, user_of

pytestmark = pytest.mark.server

ANOTHER_USER = 65534  # nobody
CONNECT = f"""
import os, socket, sys
os.setresuid({ANOTHER_USER}, {ANOTHER_USER}, {ANOTHER_USER})
connection = socket.socket()
connection.connect(("127.0.0.1", int(sys.argv[1])))
connection.recv(1)
"""


def test_a_listener_holds_its_port_and_takes_connections_at_once():
    with listener() as server:
        host, port = server.getsockname()
        assert address_of(server) == f"127.0.0.1:{port}" and host == "127.0.0.1"
        with pytest.raises(OSError, match="in use"), socket.socket() as another:
            another.bind((host, port))
        socket.create_connection((host, port)).close()


def test_a_reserved_port_is_given_to_the_program_that_asks_for_it_and_to_no_other():
    port = reserved_port()
    with pytest.raises(OSError, match="in use"), socket.socket() as by_chance:
        by_chance.bind(("127.0.0.1", port))  # what the kernel tries before it gives a port to who asks for any
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_the_user_of_a_connection_is_known():
    with listener() as server, socket.create_connection(server.getsockname()) as mine:
        assert user_of(mine.getsockname(), server.getsockname()) == os.getuid()
        assert is_mine(mine.getsockname(), server.getsockname())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_a_connection_of_another_user_is_not_mine():
    with listener() as server:
        server.settimeout(60)
        command = [sys.executable, "-c", CONNECT, str(server.getsockname()[1])]
        with subprocess.Popen(command) as stranger:
            connection, peer = server.accept()
            with connection:
                assert user_of(peer, server.getsockname()) == ANOTHER_USER
                assert not is_mine(peer, server.getsockname())
        assert stranger.returncode == 0


def test_a_connection_that_its_owner_has_closed_is_nobodys():
    """Its last packets are the kernel's, which are root's in the table: they must not pass for root's."""
    with listener() as server:
        peer = socket.create_connection(server.getsockname())
        address = peer.getsockname()
        peer.close()
        assert user_of(address, server.getsockname()) is None
        assert not is_mine(address, server.getsockname())
