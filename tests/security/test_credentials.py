"""Credentials: fresh per run, only where they are used, and never said back."""

import os

import psutil
import pytest

from experiments.config.compose import compose_cells
from experiments.config.connections import withheld
from experiments.config.errors import ConfigError
from machine.credentials import is_public_key, is_variable, without_credentials
from serverless.emulator.launcher import start_emulator
from serverless.emulator.settings import EmulatorSettings
from tests.support.local_s3 import start_minio

SECRET = "uuid-of-somebody:the-secret-itself"
OTHERS = {"OPENFAAS_AUTH", "GOOGLE_APPLICATION_CREDENTIALS"}  # of platforms that a run on OpenWhisk does not use
REGISTER = [
    "register=postgresql",
    "register.url=postgresql://me@127.0.0.1/fl",
    "register.password_env=REGISTER_PASSWORD",
]
CLUSTER = ["+exp=smoke", "backends=[openwhisk]", "platform.api_host=https://ow.example.org", "store=minio"]


def problems(*words):
    with pytest.raises(ConfigError) as caught:
        compose_cells([*CLUSTER, *words])
    return "\n".join(caught.value.problems)


@pytest.mark.server
def test_the_embedded_server_has_a_key_of_its_own_whatever_the_environment_holds(tmp_path, monkeypatch):
    monkeypatch.setenv("FL_EMULATOR_AUTH", SECRET)
    keys = set()
    for _ in range(2):
        with start_emulator(EmulatorSettings(), tmp_path / "log") as server:
            keys.add(server.auth)
    assert len(keys) == 2
    assert SECRET not in keys


@pytest.mark.server
def test_a_local_object_store_has_credentials_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIO_ROOT_PASSWORD", SECRET)
    seen = []
    for number in range(2):
        with start_minio(tmp_path / str(number), tmp_path / "log") as server:
            seen += server.env.values()
    assert len(set(seen)) == 4
    assert not {SECRET, "minioadmin"} & set(seen)


@pytest.mark.server
def test_the_embedded_server_does_not_inherit_credentials(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_STORE_PASSWORD", SECRET)
    monkeypatch.setenv("OPENWHISK_AUTH", SECRET)
    with start_emulator(EmulatorSettings(), tmp_path / "log") as server:
        environment = psutil.Process(server.pid).environ()
    assert SECRET not in environment.values()
    assert environment["FL_PROCESS_ROLE"] == "emulator"


def test_only_names_that_are_known_to_be_harmless_are_passed_on():
    given = {
        "PATH": "p",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "0",
        "AWS_SECRET_ACCESS_KEY": "x",
        "TOKEN": "y",
        "FL_KEY": "z",
    }
    assert without_credentials(given) == {"PATH": "p", "LC_ALL": "C", "PYTHONHASHSEED": "0"}


@pytest.mark.parametrize(("name", "is_one"), [("OPENWHISK_AUTH", True), ("A1_", True), (SECRET, False), ("aB", False)])
def test_a_credential_is_no_name_of_a_variable(name, is_one):
    assert is_variable(name) is is_one


def test_an_ordinary_key_is_not_the_published_one():
    assert not is_public_key(SECRET)
    assert not is_public_key("23bc46b1-71f6-4ed5-8c54-816aa4f8c502:another")


@pytest.mark.parametrize("key", ["platform.auth_env", "store.access_key_env", "store.secret_key_env"])
def test_a_credential_in_place_of_its_variables_name_is_refused_and_not_repeated(key):
    said = problems(f"{key}='{SECRET}'")
    assert f"{key}: must be the name of an environment variable" in said
    assert SECRET not in said


@pytest.mark.parametrize("key", ["platform.api_host", "store.endpoint", "store.functions_endpoint"])
def test_a_credential_in_an_address_is_refused_and_not_repeated(key):
    said = problems(f"{key}='https://{SECRET}@ow.example.org:443'")
    assert f"{key}: an address must not contain credentials" in said
    assert "the-secret-itself" not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["platform.api_host=ow.example.org"], "must begin with https://"),
        (["platform.verify_tls=false", "platform.ca_file={good}"], "contradicts platform.ca_file"),
        (["platform.ca_file={missing}"], "there is no such file"),
        (["store.secure=true", "store.functions_ca_file={empty}"], "contains no certificate"),
        (["store.ca_file={good}"], "store.secure=false: must be true"),
    ],
)
def test_what_would_leave_a_connection_unprotected_unawares_is_refused(words, says, tmp_path, ca_file):
    (tmp_path / "empty").write_text("nothing\n")
    paths = {"good": ca_file, "missing": tmp_path / "missing", "empty": tmp_path / "empty"}
    assert says in problems(*(word.format(**paths) for word in words))


@pytest.mark.parametrize(
    ("words", "uses_platform", "missing"),
    [
        (CLUSTER, True, OTHERS),
        (CLUSTER, False, {"OPENWHISK_AUTH", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"} | OTHERS),
        (["+exp=smoke", "store=minio"], True, {"OPENWHISK_AUTH"} | OTHERS),
        (["+exp=smoke"], True, {"OPENWHISK_AUTH"} | OTHERS),
        (["+exp=smoke", "platform=openfaas", "backends=[openfaas]"], True, {"OPENWHISK_AUTH"} | OTHERS),
        (["+exp=smoke", *REGISTER], True, {"OPENWHISK_AUTH"} | OTHERS),
        (["+exp=smoke", *REGISTER], False, {"OPENWHISK_AUTH", "REGISTER_PASSWORD"} | OTHERS),
    ],
)
def test_a_run_does_not_get_credentials_that_it_has_no_use_for(words, uses_platform, missing, monkeypatch):
    for name in ("OPENWHISK_AUTH", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "REGISTER_PASSWORD"):
        monkeypatch.setitem(os.environ, name, SECRET)
    (cell,) = compose_cells(words)
    not_for_it = withheld(cell.config, uses_platform=uses_platform)
    assert not_for_it & {*os.environ, *OTHERS} == missing
