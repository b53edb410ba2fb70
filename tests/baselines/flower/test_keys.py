"""What keeps others out of a federation, without a federation."""

import socket
import ssl
import threading

import pytest

from baselines.flower.keys import make_keys
from machine.loopback import listener


@pytest.fixture
def keys(tmp_path):
    return make_keys(tmp_path)


def test_only_this_user_can_read_them(keys, tmp_path):
    files = sorted(tmp_path.iterdir())
    assert files == sorted([keys.authority, keys.certificate, keys.key, keys.ray_token])
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_each_federation_has_its_own(keys, tmp_path):
    (tmp_path / "other").mkdir()
    other = make_keys(tmp_path / "other")
    assert keys.ray_token.read_text() != other.ray_token.read_text()
    assert keys.key.read_text() != other.key.read_text()


def shaken(server_keys, trusted) -> bytes:
    """Return what a client hears that trusts ``trusted`` only."""
    mine = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    mine.load_cert_chain(server_keys.certificate, server_keys.key)
    with listener() as server:

        def serve() -> None:
            connection, _ = server.accept()
            try:
                with mine.wrap_socket(connection, server_side=True) as secure:
                    secure.sendall(b"hello")
            except (ssl.SSLError, ConnectionError):
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            context = ssl.create_default_context(cafile=trusted.authority)
            plain = socket.create_connection(server.getsockname())
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                return secure.recv(5)
        finally:
            thread.join()


@pytest.mark.server
def test_a_client_knows_its_server_from_one_with_other_keys(keys, tmp_path):
    (tmp_path / "other").mkdir()
    assert shaken(keys, keys) == b"hello"
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(make_keys(tmp_path / "other"), keys)
