"""The settings of the embedded server."""

import json

import pytest

from serverless.emulator.settings import EmulatorSettings


def test_the_defaults_are_openwhisks():
    settings = EmulatorSettings()
    assert (settings.memory_min_mb, settings.memory_default_mb, settings.memory_max_mb) == (128, 256, 512)
    assert (settings.timeout_default_ms, settings.timeout_max_ms) == (60_000, 300_000)
    assert (settings.invocations_per_minute, settings.concurrent_invocations) == (60, 30)
    assert (settings.max_payload_bytes, settings.max_code_bytes) == (1 << 20, 48 << 20)
    assert (settings.pool_memory_mb, settings.pause_after_s, settings.destroy_after_s) == (1024, 10, 600)


def test_they_survive_the_way_through_json():
    settings = EmulatorSettings(pool_memory_mb=4096, container_env={"A": "b"}, pause_after_s=0.5)
    assert EmulatorSettings.from_json(json.dumps(settings.to_dict())) == settings


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"pool_memory_mb": 0}, "pool_memory_mb=0: must be greater than 0"),
        ({"memory_max_mb": 2048}, "must keep memory_max_mb <= pool_memory_mb, got memory_max_mb=2048"),
        ({"memory_default_mb": 64}, "must keep memory_min_mb <= memory_default_mb <= memory_max_mb"),
        ({"timeout_default_ms": 400_000}, "must keep timeout_min_ms <= timeout_default_ms <= timeout_max_ms"),
        ({"memory_enforcement": "none"}, "allowed are auto, cgroup and watchdog"),
        ({"pool_memory_mb": "1"}, "pool_memory_mb='1': must be a whole number"),
        ({"pause_after_s": True}, "pause_after_s=True: must be a number"),
        ({"container_env": {"A": 1}}, "container_env"),
        ({"nonsense": 1}, "unknown emulator setting(s) nonsense; known: pool_memory_mb"),
    ],
)
def test_impossible_settings_say_what_is_allowed(values, says):
    with pytest.raises(ValueError) as refused:
        EmulatorSettings.from_json(json.dumps(values))
    assert says in str(refused.value)


@pytest.mark.parametrize("text", ["[]", "7", "{"])
def test_settings_that_are_no_json_object(text):
    with pytest.raises(ValueError):
        EmulatorSettings.from_json(text)
