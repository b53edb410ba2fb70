"""TLS is verified by default, by everybody who connects: the platform's client, the store's, and the functions."""

from dataclasses import replace

import pytest

from serverless.emulator.launcher import start_emulator
from serverless.emulator.settings import EmulatorSettings
from serverless.platforms.openwhisk.client import OpenWhiskClient
from serverless.platforms.openwhisk.deploy import OpenWhisk
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec, PlatformError
from serverless.preflight import inside_function
from serverless.preflight.probe import probing
from serverless.storage import StoreError, address, open_store
from tests.support.local_s3 import start_minio
from tests.support.tiers import starts


@pytest.fixture(scope="module")
@starts("server")
def emulator(tmp_path_factory):
    with start_emulator(EmulatorSettings(), tmp_path_factory.mktemp("emulator") / "log") as server:
        yield server


@pytest.fixture(scope="module")
@starts("server")
def minio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minio")
    with start_minio(folder, folder / "log") as server:
        yield server


def test_the_platforms_client_verifies_unless_told_otherwise(emulator, https_before, ca_file):
    secured = f"https://{https_before(emulator.api_host.removeprefix('http://'))}"

    def actions(**changes):
        return OpenWhiskClient(secured, emulator.auth, OpenWhiskSettings(request_timeout_s=5, **changes)).actions()

    with pytest.raises(PlatformError, match=r"SSLError.*platform\.ca_file") as caught:
        actions()
    assert emulator.auth.partition(":")[2] not in str(caught.value)
    assert actions(ca_file=ca_file) == ()
    assert actions(verify_tls=False) == ()


def test_an_environment_variable_does_not_switch_verification_off(emulator, https_before, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "")
    secured = f"https://{https_before(emulator.api_host.removeprefix('http://'))}"
    with pytest.raises(PlatformError, match="SSLError"):
        OpenWhiskClient(secured, emulator.auth, OpenWhiskSettings(request_timeout_s=5)).actions()


def test_the_stores_client_trusts_the_named_authority_and_nobody_else(minio, https_before, ca_file):
    settings = replace(minio.settings(), endpoint=https_before(minio.endpoint), secure=True, retries=0)
    with pytest.raises(StoreError, match=r"(?i)certificate.*store\.ca_file"):
        open_store(settings, "runs/a", minio.env)
    store = open_store(replace(settings, ca_file=ca_file), "runs/a", minio.env)
    store.put("x", b"x")
    assert store.get("x") == b"x"


def test_functions_trust_the_authority_that_is_shipped_with_them_and_nobody_else(
    emulator, minio, https_before, ca_file
):
    settings = replace(minio.settings(), endpoint=https_before(minio.endpoint), secure=True, ca_file=ca_file)
    store = open_store(settings, "runs/functions", minio.env)
    found = []
    for trusted in (None, ca_file):
        client = OpenWhiskClient(emulator.api_host, emulator.auth, OpenWhiskSettings(functions_ca_file=trusted))
        with probing(OpenWhisk(client)) as probe:
            function = probe.deploy(FunctionSpec("client", memory_mb=128, timeout_s=20, store=address(settings)))
            found.append(inside_function.store(probe, function, store, 60))
    refused, accepted = found
    assert (refused.verdict, "SSL" in refused.found, "store.functions_ca_file" in refused.advice) == (
        "failed",
        True,
        True,
    ), refused
    assert accepted.verdict == "ok", accepted
