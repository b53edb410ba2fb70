"""What every platform promises, over real HTTP: OpenFaaS's gateway API and Google's, each with its own runtime."""

import os
import signal
import threading
import time

import psutil
import pytest

from machine.clocks import process_started_at
from serverless.platforms.google.client import GoogleClient
from serverless.platforms.google.settings import GoogleSettings
from serverless.platforms.google.tokens import OneToken
from serverless.platforms.openfaas.client import OpenFaasClient
from serverless.platforms.openfaas.settings import OpenFaasSettings
from serverless.platforms.protocol import FunctionSpec, PlatformError
from serverless.platforms.registry import open_platform

SETTINGS = {"openfaas": OpenFaasSettings, "google": GoogleSettings}


def eventually(condition, within_s=15.0):
    """Wait for what happens by itself; the time is a bound against hanging, not a claim."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_function_is_created_listed_invoked_updated_and_removed(tools):
    assert tools.platform.functions() == ()
    tools.deploy()
    assert tools.platform.functions() == ("client",)
    first = tools.invoke(x=[1, "ü"])
    assert (first.error_kind, first.result["version"], first.result["got"]) == (None, "1", {"x": [1, "ü"]})
    assert first.activation_id
    tools.version = "2"  # the same name with other code
    tools.deploy()
    assert tools.platform.functions() == ("client",)
    assert tools.invoke().result["version"] == "2"
    tools.platform.remove("client")
    tools.platform.remove("client")
    assert tools.platform.functions() == ()
    gone = tools.invoke()
    assert (gone.error_kind, gone.may_have_run) == ("no such function", False)


def test_a_container_is_started_once_and_kept_and_scales_to_zero(start):
    for name in ("openfaas", "google"):
        tools = start(name, destroy_after_s=2.0)
        tools.deploy()
        assert tools.processes() == []
        cold, warm = tools.invoke().result, tools.invoke().result
        assert (cold["calls"], warm["calls"], cold["pid"] == warm["pid"]) == (1, 2, True)
        assert tools.processes()
        assert eventually(lambda tools=tools: not tools.processes())
        assert tools.invoke().result["calls"] == 1


def test_two_at_once_have_a_container_each_and_a_third_is_throttled(tools):
    spec = tools.deploy()
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(tools.invoke(spec, sleep_s=8))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: len(tools.processes()) >= 4)  # two programs to each container
    time.sleep(3)  # both are started; a moment later both have their request
    third = tools.invoke(spec)
    for thread in threads:
        thread.join()
    assert (third.error_kind, third.may_have_run, third.result) == ("throttled", False, None)
    assert third.error
    assert third.activation_id is None  # an id is of a call that ran: it would be billed
    assert [one.error_kind for one in seen] == [None, None]
    assert len({one.result["pid"] for one in seen}) == 2


def test_what_the_function_raises_is_told_in_its_words(tools):
    tools.deploy()
    failed = tools.invoke(fail="no such client")
    assert (failed.error_kind, failed.error, failed.result) == ("application error", "ValueError: no such client", None)
    assert failed.may_have_run
    assert tools.invoke().result["calls"] == 2  # the container is none the worse


def test_a_call_above_its_time_limit_is_ended_and_may_have_run(tools):
    spec = tools.deploy(timeout_s=1)
    late = tools.invoke(spec, sleep_s=5)
    assert (late.error_kind, late.may_have_run) == ("timed out", True)


def test_a_function_above_its_memory_is_killed_and_the_next_call_has_a_new_container(tools):
    spec = tools.deploy(memory_mb=128)
    before = tools.invoke(spec).result["pid"]
    killed = tools.invoke(spec, eat_mb=400)
    assert (killed.error_kind, killed.may_have_run) == ("function gone", True)
    after = tools.invoke(spec)
    assert (after.error_kind, after.result["calls"]) == (None, 1)
    assert after.result["pid"] != before


@pytest.mark.parametrize("name", SETTINGS)
def test_without_control_groups_the_memory_of_all_processes_together_counts(start, name):
    tools = start(name, memory_enforcement="watchdog")
    assert tools.handle.memory_enforcement == "watchdog"
    spec = tools.deploy(memory_mb=192)
    assert tools.invoke(spec).error_kind is None
    assert tools.invoke(spec, eat_mb=400, then_sleep_s=3).error_kind == "function gone"
    assert tools.invoke(spec).result["calls"] == 1


def test_a_cold_start_counts_from_the_birth_of_the_container(tools):
    tools.deploy()
    ((phase, born_at, ready_at),) = tools.invoke().result["spans"]
    births = sorted(process_started_at(process.pid) for process in tools.processes())
    first = births[0] if tools.name == "google" else births[1]  # OpenFaaS: the function's process, beside the watchdog
    assert phase == "cold_start"
    assert abs(born_at - first) < 0.03  # ticks of 10 ms
    assert ready_at > born_at
    assert tools.invoke().result["spans"] == []


def test_a_function_that_exits_is_replaced(tools):
    spec = tools.deploy()
    tools.invoke(spec)
    assert tools.invoke(spec, exit=3).error_kind == "function gone"
    assert tools.invoke(spec).result["calls"] == 1


def test_everything_ends_with_the_server_even_if_that_is_killed(tools):
    tools.deploy()
    tools.invoke()
    left = tools.processes()
    assert left
    os.kill(tools.handle.pid, signal.SIGKILL)
    assert psutil.wait_procs(left, timeout=15)[1] == []


def test_a_wrong_key_is_refused_and_not_shown(tools):
    tools.deploy()
    host = tools.handle.api_host
    if tools.name == "openfaas":
        wrong = OpenFaasClient(host, "admin:hunter2", OpenFaasSettings())
    else:
        wrong = GoogleClient(host, OneToken("hunter2"), GoogleSettings())
        refused = wrong.invoke(
            FunctionSpec("client", 256, 5), {}, f"{host}/run/{GoogleSettings().parent}/functions/client"
        )
        assert (refused.error_kind, refused.may_have_run) == ("unauthorized", False)
    with pytest.raises(PlatformError, match="401") as error:
        wrong.functions()
    assert f"${SETTINGS[tools.name]().auth_env}" in str(error.value)
    assert "hunter2" not in str(error.value) + repr(wrong)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_page_in_place_of_the_api_is_told_before_anything_is_done(name, html_server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENFAAS_AUTH", "admin:secret")
    monkeypatch.setattr("serverless.platforms.google.deploy.GoogleTokens", lambda auth_env: OneToken("secret"))
    settings = SETTINGS[name](api_host=html_server, request_timeout_s=2)
    with (
        pytest.raises(PlatformError, match=r"text/html.*platform\.api_host"),
        open_platform(settings, tmp_path / "log"),
    ):
        pass


def test_a_page_in_place_of_a_functions_answer_is_a_failed_attempt(html_server):
    spec = FunctionSpec("client", 256, 2)
    faas = OpenFaasClient(html_server, "a:b", OpenFaasSettings(request_timeout_s=2)).invoke(spec, {})
    google = GoogleClient(html_server, OneToken("t"), GoogleSettings(request_timeout_s=2)).invoke(spec, {}, html_server)
    for found in (faas, google):
        assert (found.error_kind, found.result) == ("no JSON answer", None)
        assert "text/html" in found.error
        assert "Welcome to nginx" in found.error


def test_nobody_there_cannot_have_run_and_is_told_with_advice(tmp_path, monkeypatch):
    spec, nobody = FunctionSpec("client", 256, 1), "http://127.0.0.1:9"
    monkeypatch.setenv("OPENFAAS_AUTH", "admin:secret")
    for found in (
        OpenFaasClient(nobody, "a:b", OpenFaasSettings(request_timeout_s=0.2)).invoke(spec, {}),
        GoogleClient(nobody, OneToken("t"), GoogleSettings(request_timeout_s=0.2)).invoke(spec, {}, nobody),
    ):
        assert (found.error_kind, found.may_have_run, found.activation_id) == ("unreachable", False, None)
    gateway = OpenFaasSettings(api_host=nobody, request_timeout_s=0.2)
    with pytest.raises(PlatformError, match=r"cannot be reached.*platform\.api_host"), open_platform(gateway, tmp_path):
        pass
