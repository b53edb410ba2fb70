"""Without packages or credentials, platforms say which, before anything is done."""

import builtins
from types import SimpleNamespace

import pytest

from serverless.platforms.google.settings import GoogleSettings
from serverless.platforms.openfaas.settings import OpenFaasSettings
from serverless.platforms.protocol import PlatformError
from serverless.platforms.registry import open_platform


def opening(settings, tmp_path):
    with open_platform(settings, tmp_path / "log"):
        raise AssertionError("it should not open")


def test_an_unknown_platform_is_told_with_those_that_are_known(tmp_path):
    with pytest.raises(PlatformError, match=r"'lambda'.*openwhisk, openfaas, google"):
        opening(SimpleNamespace(name="lambda"), tmp_path)


def test_openfaas_without_a_password_names_the_variable(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENFAAS_AUTH", raising=False)
    with pytest.raises(PlatformError, match=r"OPENFAAS_AUTH.*user:password"):
        opening(OpenFaasSettings(api_host="https://gateway.invalid"), tmp_path)


def without(monkeypatch, package):
    """Let an import of a package fail as if it were not installed."""
    real = builtins.__import__

    def importing(name, *args, **kwargs):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importing)


def test_google_without_google_auth_names_the_extra(tmp_path, monkeypatch):
    without(monkeypatch, "google")
    with pytest.raises(PlatformError, match=r"google-auth.*serverless-fl-bench\[google\]"):
        opening(GoogleSettings(api_host="https://cloudfunctions.invalid"), tmp_path)


def test_the_embedded_google_without_functions_framework_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("serverless.platforms.google.deploy.find_spec", lambda name: None)
    with pytest.raises(PlatformError, match=r"functions-framework.*serverless-fl-bench\[google\]"):
        opening(GoogleSettings(), tmp_path)


def test_google_without_credentials_names_the_variable_and_nothing_of_a_file(tmp_path, monkeypatch):
    key = tmp_path / "key.json"
    key.write_text('{"type": "service_account", "private_key": "hunter2"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    with pytest.raises(PlatformError, match=r"\$GOOGLE_APPLICATION_CREDENTIALS") as error:
        opening(GoogleSettings(api_host="https://cloudfunctions.invalid"), tmp_path)
    assert "hunter2" not in str(error.value)
