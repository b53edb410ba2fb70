"""The keys of the platforms: each has its own, and each file in conf/platform makes the settings that it should."""

import pytest

from experiments.config.backend_settings import in_flight, pool_memory_mb
from experiments.config.backends import BACKENDS
from experiments.config.compose import compose_cells
from experiments.config.errors import ConfigError
from experiments.config.platform import platform_settings
from serverless.platforms.google.settings import GoogleSettings
from serverless.platforms.openfaas.settings import OpenFaasSettings
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.registry import platforms

SETTINGS = {"openwhisk": OpenWhiskSettings, "openfaas": OpenFaasSettings, "google": GoogleSettings}
REAL = ("store=minio", "store.endpoint=h:1", "platform.api_host=https://far.example.org")


def config(*words):
    (cell,) = compose_cells(["+exp=smoke", "workers=2", *words])
    return cell.config


def settings(*words):
    made = config(*words)
    return platform_settings(made, in_flight(made), pool_memory_mb(made))


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    for name in ("OPENFAAS_AUTH", "GOOGLE_APPLICATION_CREDENTIALS", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
        monkeypatch.setenv(name, "u:secret")


def test_every_platform_is_a_backend_has_a_file_and_can_be_opened():
    assert platforms().keys() >= SETTINGS.keys()
    for name in platforms():
        made = settings(f"platform={name}", f"backends=[inprocess,{name}]")
        assert (type(made), made.name, made.api_host) == (SETTINGS[name], name, None)
        assert name in BACKENDS


def test_containers_are_as_many_as_calls_in_flight():
    assert settings("platform=openfaas", "platform.in_flight=5").max_containers == 5
    google = settings("platform=google", "platform.in_flight=5")
    assert (google.max_containers, google.pool_memory_mb) == (5, 6 * 2048)


def test_a_real_platform_gets_its_address_and_its_own_keys():
    image = "platform.image='r/fl-{function}:1'"
    faas = settings("platform=openfaas", "backends=[openfaas]", *REAL, image, "platform.callback_host=me:8080")
    assert (faas.api_host, faas.image, faas.callback_host) == (
        "https://far.example.org",
        "r/fl-{function}:1",
        "me:8080",
    )
    google = settings("platform=google", "backends=[google]", *REAL, "platform.project=p", "platform.location=l")
    assert google.parent == "projects/p/locations/l"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["backends=[openfaas]"], "backends.*openfaas runs with platform=openfaas; here platform.name=openwhisk"),
        (["platform=google", "backends=[openfaas]"], "backends.*here platform.name=google"),
        (["platform=google", "platform.namespace=x"], r"platform.namespace='x': is for platform=openwhisk"),
        (["platform.project=p"], "platform.project='p': is for platform=google; here platform.name=openwhisk"),
        (["platform.destroy_after_s=5"], "is for platform=openfaas or google"),
        (["platform.blocking_s=null"], "platform.blocking_s=null: is needed"),
        (["platform=openfaas", "backends=[openfaas]", *REAL], r"platform.image=null: is needed: the functions' image"),
        (["platform=google", "backends=[google]", *REAL], "platform.project=null: is needed"),
        (["platform=openfaas", "platform.image=x:1"], r"must have \{function\}"),
        (["platform=openfaas", "platform.callback_host='http://me'"], "must be HOST or HOST:PORT"),
        (["platform=openfaas", "platform.destroy_after_s=0"], "platform.destroy_after_s=0.0: must be more than 0"),
        (["platform=google", "platform.auth_env=OTHER"], "google-auth reads GOOGLE_APPLICATION_CREDENTIALS"),
        (["platform=google", "platform.client.memory_mb=40000"], "functions of up to 32768 MB"),
        (["platform=google", "platform.client.timeout_s=3601"], "3600 seconds at most"),
    ],
)
def test_a_key_of_another_platform_or_one_that_is_missing_is_told(words, told):
    backends = [] if any(word.startswith("backends") for word in words) else ["backends=[openwhisk]"]
    if any(word in ("platform=google", "platform=openfaas") for word in words) and backends:
        backends = [f"backends=[{words[0].partition('=')[2]}]"]
    with pytest.raises(ConfigError, match=told):
        config(*words, *backends)


def test_missing_credentials_are_told_before_any_work(monkeypatch):
    for name, variable in (("openfaas", "OPENFAAS_AUTH"), ("google", "GOOGLE_APPLICATION_CREDENTIALS")):
        monkeypatch.delenv(variable)
        with pytest.raises(ConfigError, match=f"platform.auth_env='{variable}'.*not set"):
            config(f"platform={name}", f"backends=[{name}]", *REAL)
