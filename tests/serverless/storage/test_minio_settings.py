"""What can be said about a MinIO store without a server: its settings, its secrets, its patience."""

import datetime
import http.server
import ipaddress
import socket
import ssl
import threading
import traceback
from contextlib import contextmanager
from dataclasses import replace

import pytest

from serverless.storage import MinioSettings, StoreError, open_store

SECRET = "s3cr3t-of-the-store"
ENV = {"MINIO_ACCESS_KEY": "someone", "MINIO_SECRET_KEY": SECRET}


def settings(port, **changes):
    return replace(MinioSettings(endpoint=f"127.0.0.1:{port}", timeout_s=10.0, retries=1), **changes)


@contextmanager
def answering(status, context=None):
    """A server that answers every request with ``status``; yields its port and the list of requests."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("missing", list(ENV))
def test_a_missing_credential_names_its_variable(missing):
    with pytest.raises(StoreError, match=f"{missing} is not set"):
        open_store(settings(1), "runs/a", ENV | {missing: ""})


@pytest.mark.parametrize("setting", ["access_key_env", "secret_key_env"])
def test_a_credential_in_the_settings_is_refused_and_not_repeated(setting):
    with pytest.raises(StoreError, match=f"store.{setting} must be the name of an environment variable") as caught:
        open_store(settings(1, **{setting: SECRET}), "runs/a", ENV)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000", "127.0.0.1:9000/path"])
def test_an_endpoint_that_is_none_is_refused_with_the_form_it_must_have(endpoint):
    with pytest.raises(StoreError, match=r"store\.endpoint=.*host:port"):
        open_store(settings(1, endpoint=endpoint), "runs/a", ENV)


def test_a_bucket_that_cannot_be_is_refused():
    with pytest.raises(StoreError, match=r"store\.bucket"):
        open_store(settings(1, bucket="No_Bucket"), "runs/a", ENV)


def test_a_ca_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"ca_file=.*nowhere\.pem: no such file"):
        open_store(settings(1, ca_file=tmp_path / "nowhere.pem"), "runs/a", ENV)


def in_full(error):
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.server
@pytest.mark.timeout(20)
def test_a_refused_connection_is_an_error_in_bounded_time():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(
        StoreError, match=rf"Check that a server answers at store\.endpoint=127\.0\.0\.1:{port}"
    ) as caught:
        open_store(settings(port), "runs/a", ENV)
    assert SECRET not in in_full(caught.value)


@pytest.mark.server
@pytest.mark.timeout(20)
def test_a_server_that_never_answers_is_an_error_in_bounded_time():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(StoreError, match="timed out") as caught,
    ):
        open_store(settings(silent.getsockname()[1], timeout_s=0.3), "runs/a", ENV)
    assert SECRET not in in_full(caught.value)


@pytest.mark.server
@pytest.mark.parametrize("retries", [0, 2])
def test_a_server_that_fails_is_asked_as_often_as_the_settings_say(retries):
    with answering(503) as (port, asked), pytest.raises(StoreError):
        open_store(settings(port, retries=retries), "runs/a", ENV)
    assert len(asked) == retries + 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody but its own file vouches for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
    builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "ca.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder


@pytest.mark.server
def test_https_trusts_the_ca_file_and_nobody_else(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "ca.pem", certificate / "key.pem")
    with answering(200, context) as (port, asked):
        secure = settings(port, secure=True, retries=0)
        with pytest.raises(StoreError, match=r"(?i)certificate.*store\.ca_file"):
            open_store(secure, "runs/a", ENV)
        assert asked == []
        store = open_store(replace(secure, ca_file=certificate / "ca.pem"), "runs/a", ENV)
        assert asked == ["/serverless-fl"]
    assert store.grant("x", "GET", 60).startswith(f"https://127.0.0.1:{port}/serverless-fl/runs/a/x?")


@pytest.mark.server
def test_nothing_that_is_shown_of_a_store_holds_its_secret():
    with answering(200) as (port, _):
        store = open_store(settings(port), "runs/a", ENV)
    assert SECRET not in repr(store)
    assert SECRET not in str(vars(store))
    assert SECRET not in store.grant("x", "PUT", 60)


@pytest.mark.server
def test_urls_are_granted_for_the_endpoint_of_the_functions_without_asking_anyone():
    with answering(200) as (port, asked):
        store = open_store(settings(port, functions_endpoint="minio.inside:9000"), "runs/a", ENV)
        asked.clear()
        url = store.grant("round-1/update", "PUT", 300)
        assert asked == []
    assert url.startswith("http://minio.inside:9000/serverless-fl/runs/a/round-1/update?")
    assert "X-Amz-Expires=300" in url
