"""Each check provoked to fail, against the embedded server with other limits and against servers that are none."""

import http.server
import json
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.clocks import now
from serverless.emulator.launcher import start_emulator
from serverless.emulator.settings import EmulatorSettings
from serverless.platforms.function_environment import link_environment
from serverless.platforms.function_zip import IMPORTED
from serverless.platforms.openwhisk.client import OpenWhiskClient
from serverless.platforms.openwhisk.deploy import OpenWhisk
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec, Invocation
from serverless.preflight import clock, inside_function, limits
from serverless.preflight.checklist import examine
from serverless.preflight.concurrency import crowd, most_at_once, spare_for
from serverless.preflight.connection import reach
from serverless.preflight.limits import Limits
from serverless.preflight.probe import Probe, probing
from serverless.preflight.store import open_here
from serverless.settings import ServerlessSettings
from serverless.storage import DirectorySettings, MinioSettings, open_store
from task.data import DataSettings
from task.job import FederatedJob, StrategySpec
from tests.support.tiers import starts

SMALL = FunctionSpec("client", memory_mb=128, timeout_s=10)
JOB = FederatedJob(model="mlp50", clients_per_round=3, rounds=1)


def settings(platform=None, store=None, function=SMALL, in_flight=2):
    return ServerlessSettings(
        platform=platform or OpenWhiskSettings(),
        store=store or DirectorySettings(Path("unused")),
        data=DataSettings(cache=Path("unused")),
        client=function,
        aggregator=function,
        in_flight=in_flight,
    )


def client(server, **changes):
    return OpenWhiskClient(server.api_host, server.auth, OpenWhiskSettings(request_timeout_s=1, **changes))


@pytest.fixture
@starts("server")
def start(tmp_path):
    """Start servers with limits of the test's own."""
    with ExitStack() as stack:
        yield lambda **chosen: stack.enter_context(start_emulator(EmulatorSettings(**chosen), tmp_path / "log"))


@pytest.fixture
def deployed(start):
    """Return a probe on a server, deployed with small limits."""
    with ExitStack() as stack:

        def deploy(function=SMALL, **chosen):
            server = client(start(**{"invocations_per_minute": 1000, **chosen}))
            probe = stack.enter_context(probing(OpenWhisk(server)))
            return probe, probe.deploy(function)

        yield deploy


@contextmanager
def answering(body, status=200):
    """A server that gives every request one answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = body.get(self.path.partition("?")[0], body.get("*")) if isinstance(body, dict) else body
            data = b"<html>" if found is None else found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def last(findings):
    return list(findings)[-1]


# --- reaching it


def test_a_platform_that_is_well_passes_each_step(start):
    found = list(reach(client(start())))
    assert [f.check for f in found] == ["address", "certificate", "API", "key"]
    assert {f.verdict for f in found} == {"ok"}


@pytest.mark.server
def test_a_name_without_address_and_a_port_without_server_are_told_apart():
    unknown = last(reach(OpenWhiskClient("https://no-such-host.invalid", "a:b")))
    assert (unknown.check, unknown.verdict) == ("address", "failed")
    assert "has no address" in unknown.found
    with answering(None) as port:
        pass
    closed = last(reach(OpenWhiskClient(f"http://127.0.0.1:{port}", "a:b")))
    assert (closed.check, closed.verdict) == ("address", "failed")
    assert "cannot be reached" in closed.found


@pytest.mark.server
@pytest.mark.parametrize("body", [None, {"*": {"description": "a shop"}}, ["no object"]])
def test_a_server_that_is_no_openwhisk(body):
    with answering(body) as port:
        found = last(reach(OpenWhiskClient(f"http://127.0.0.1:{port}", "a:b")))
    assert (found.check, found.verdict) == ("API", "failed")
    assert "platform.api_host" in found.advice


def test_a_wrong_key_is_told_without_being_shown(start):
    found = last(reach(replace(client(start()), auth="somebody:the-wrong-secret")))
    assert (found.check, found.verdict) == ("key", "failed")
    assert "$OPENWHISK_AUTH" in found.advice
    assert "the-wrong-secret" not in str(found)


def test_a_certificate_of_a_private_authority(start, https_before, ca_file):
    server = start()
    secured = f"https://{https_before(server.api_host.removeprefix('http://'))}"
    plain = OpenWhiskClient(secured, server.auth, OpenWhiskSettings(request_timeout_s=1))
    untrusted = last(reach(plain))
    assert (untrusted.check, untrusted.verdict) == ("certificate", "failed")
    assert "platform.ca_file" in untrusted.advice
    trusted = list(reach(replace(plain, settings=OpenWhiskSettings(ca_file=ca_file))))
    assert [f.verdict for f in trusted] == ["ok"] * 4
    unverified = list(reach(replace(plain, settings=OpenWhiskSettings(verify_tls=False))))
    assert [f.verdict for f in unverified] == ["ok", "warning", "ok", "ok"]


def test_https_where_there_is_none(start):
    found = last(reach(OpenWhiskClient(start().api_host.replace("http", "https", 1), "a:b")))
    assert (found.check, found.verdict) == ("certificate", "failed")


# --- limits


def test_limits_are_learnt_from_the_namespace(start):
    server = start(memory_max_mb=300, timeout_max_ms=90_000, invocations_per_minute=7, concurrent_invocations=3)
    assert limits.learn(client(server)) == Limits(300, 90.0, 7, 3)


@pytest.mark.server
def test_what_an_older_namespace_does_not_tell_comes_from_the_system_or_stays_unknown():
    rates = {"invocationsPerMinute": 60, "concurrentInvocations": 30, "firesPerMinute": 60}
    system = {"limits": {"max_action_memory": 512 << 20, "max_action_duration": 300_000}}
    with answering({"/": system, "*": rates}) as port:
        assert limits.learn(OpenWhiskClient(f"http://127.0.0.1:{port}", "a:b")) == Limits(512, 300.0, 60, 30)
    with answering({"/": None, "*": rates}) as port:
        assert limits.learn(OpenWhiskClient(f"http://127.0.0.1:{port}", "a:b")) == Limits(None, None, 60, 30)


NESTED = b'{"description": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
HUGE = b'{"start": 1' + b"0" * 400 + b', "end": 2, "maxActionMemory": 1' + b"0" * 400 + b"}"
HOSTILE = [b"[]", b"null", b"\xff\xfe\x80", NESTED, HUGE, b'{"start": "x", "maxActionTimeout": [1], "limits": 7}']
HOSTILE += [b'{"start": NaN, "end": Infinity, "maxActionTimeout": NaN, "limits": {"max_action_memory": "x"}}']


@pytest.mark.server
@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_a_platform_answers_is_a_finding_and_no_error(body):
    with answering(body) as port:
        there = OpenWhiskClient(f"http://127.0.0.1:{port}", "a:b")
        assert last(reach(there)).verdict == "failed"
        assert limits.learn(there) == Limits()
        assert clock._record(there, "an id") is None


GOOD = {"started_at": 1.0, "ended_at": 2.0, "peak_memory_bytes": 1, "import_s": 0.1, "python": "3.11.7"}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"started_at": "x", "ended_at": None},
        GOOD | {"ended_at": 10**400},
        GOOD,
        GOOD | {"packages": []},
        GOOD | {"packages": {"numpy": {"version": 1}}},
        GOOD | {"packages": {"numpy": {"error": []}}},
        GOOD | {"packages": {}, "transfer_error": 1},
    ],
)
def test_so_is_whatever_a_function_answers(answer):
    class Rubbish:
        client = None

        def invoke(self, *_):
            return Invocation("a", answer)

    probe = Probe(Rubbish(), "name")
    found = inside_function.image(probe, replace(SMALL, engine="numpy"))
    assert (found.verdict, "rubbish answer" in found.found) == ("failed", True)
    if "started_at" not in answer:
        assert crowd(probe, SMALL, 2).verdict == "failed"
        assert [finding.verdict for finding in clock.inside(probe, SMALL, None)] == ["warning", "warning"]


ENOUGH = Limits(memory_mb=512, timeout_s=300, invocations_per_minute=100, concurrent_invocations=10)


@pytest.mark.parametrize(
    ("known", "verdicts"),
    [
        (ENOUGH, ["ok", "ok", "ok", "ok"]),
        (replace(ENOUGH, memory_mb=127), ["failed", "ok", "ok", "ok"]),
        (replace(ENOUGH, timeout_s=9.9), ["ok", "failed", "ok", "ok"]),
        (replace(ENOUGH, invocations_per_minute=7), ["ok", "ok", "warning", "ok"]),
        (replace(ENOUGH, invocations_per_minute=2), ["ok", "ok", "failed", "ok"]),
        (replace(ENOUGH, concurrent_invocations=1), ["ok", "ok", "ok", "failed"]),
        (Limits(), ["ok", "ok", "warning", "warning"]),
    ],
)
def test_limits_are_held_against_what_is_needed(known, verdicts):
    found = list(limits.judge(known, settings(), clients_per_round=3))
    assert [f.verdict for f in found] == verdicts
    assert all(bool(f.advice) == (f.verdict != "ok") for f in found)


def test_a_tight_rate_says_from_when_on_invocations_are_throttled():
    (_, _, rate, _) = limits.judge(replace(ENOUGH, invocations_per_minute=60), settings(in_flight=4), 100)
    assert "less than 4 s each are throttled" in rate.found  # 4 at once, 60 a minute: one each 4 s


def test_an_invoker_is_an_invocation_too():
    relayed = replace(settings(in_flight=4), invoker=FunctionSpec("invoker", memory_mb=128, timeout_s=300))
    (*_, rate, at_once) = limits.judge(replace(ENOUGH, concurrent_invocations=7), relayed, 10)
    assert rate.found.startswith("21 invocations a round")
    assert at_once.found == "8 invocations in flight, 7 at once allowed"


# --- the store


@pytest.mark.server
def test_a_store_that_works_and_one_that_is_dead(tmp_path, monkeypatch):
    opened = open_here(DirectorySettings(tmp_path), "preflight-a")
    assert opened.finding.verdict == "ok"
    assert opened.store.list() == ()
    monkeypatch.setenv("MINIO_ACCESS_KEY", "some")
    monkeypatch.setenv("MINIO_SECRET_KEY", "secret-of-the-store")
    with answering(None) as port:
        pass
    dead = open_here(MinioSettings(endpoint=f"127.0.0.1:{port}", retries=0), "preflight-a")
    assert dead.store is None
    assert dead.finding.verdict == "failed"
    assert "secret-of-the-store" not in str(dead.finding)


class Elsewhere:
    """A store whose URLs lead functions to another one."""

    def __init__(self, ours, theirs):
        self.put, self.get, self.grant = ours.put, ours.get, self._grant
        self.ours, self.theirs = ours, theirs

    def _grant(self, key, verb, expires_s):
        return (self.theirs if verb == "PUT" else self.ours).grant(key, verb, expires_s)


class Unreachable(Elsewhere):
    def _grant(self, key, verb, expires_s):
        return "https://127.0.0.1:9/bucket/key?X-Amz-Signature=of-the-store"


def test_the_store_from_inside_a_function(deployed, tmp_path):
    probe, function = deployed(replace(SMALL, timeout_s=2, store=tmp_path.as_uri()))
    ours, theirs = (open_store(DirectorySettings(tmp_path / name), "run") for name in ("ours", "theirs"))
    assert inside_function.store(probe, function, ours, 60).verdict == "ok"
    ours.delete_prefix()
    wrong = inside_function.store(probe, function, Elsewhere(ours, theirs), 60)
    assert (wrong.verdict, "another one" in wrong.found) == ("failed", True)
    dead = inside_function.store(probe, function, Unreachable(ours, theirs), 60)
    assert dead.verdict == "failed"
    assert "store.functions_endpoint" in dead.advice
    assert "of-the-store" not in str(dead)


# --- inside a function


def test_an_image_without_a_package_is_told(deployed, monkeypatch):
    monkeypatch.setattr(inside_function, "IMPORTED", ("numpy", "no_such_package"))
    probe, function = deployed(replace(SMALL, engine="numpy"))
    found = inside_function.image(probe, function)
    assert found.verdict == "failed"
    assert "no_such_package: ModuleNotFoundError" in found.found


@pytest.mark.slow
def test_the_images_own_packages_are_enough(deployed, tmp_path):
    python = link_environment(tmp_path / "image", IMPORTED)
    probe, function = deployed(replace(SMALL, engine="numpy", memory_mb=512), python=str(python))
    found = inside_function.image(probe, function)
    assert found.verdict == "ok", found


def test_tensorflow_does_not_fit_into_128_mb(deployed):
    probe, function = deployed(replace(SMALL, engine="tensorflow"))
    found = inside_function.image(probe, function)
    assert found.verdict == "failed"
    assert "platform.client.memory_mb" in found.advice


def test_other_versions_and_little_room_are_warned_of(deployed, monkeypatch):
    probe, function = deployed(replace(SMALL, engine="numpy", memory_mb=512))
    assert inside_function.image(probe, function).verdict == "ok"
    monkeypatch.setattr(inside_function.metadata, "version", lambda name: "0.1")
    other = inside_function.image(probe, function)
    assert (other.verdict, "0.1 here" in other.found) == ("warning", True)
    monkeypatch.setitem(inside_function._TRAINING_BYTES, "numpy", 512 << 20)
    assert "memory_mb" in inside_function.image(probe, function).advice


@pytest.mark.parametrize(
    ("strategy", "clients", "memory_mb", "verdict"),
    [
        ("fedavg", 500, 512, "ok"),
        ("median", 20, 512, "ok"),
        ("median", 500, 256, "warning"),
        ("krum", 2000, 512, "failed"),
    ],
)
def test_the_updates_that_a_strategy_keeps_must_fit_into_the_aggregators_memory(strategy, clients, memory_mb, verdict):
    class Imported:
        def invoke(self, function, params):
            packages = {name: {"version": "1"} for name in params["imports"]}
            return Invocation("a", GOOD | {"peak_memory_bytes": 90 << 20, "packages": packages})

    job = replace(JOB, clients=clients, clients_per_round=clients, strategy=StrategySpec(strategy))
    probe, small = Probe(Imported(), "name"), replace(SMALL, engine="numpy")
    found = inside_function.aggregation(probe, small, replace(SMALL, memory_mb=memory_mb), job)
    assert found.verdict == verdict, found
    assert f"strategy={strategy}" in found.found


def test_a_call_that_is_too_large_is_found_out(deployed):
    probe, function = deployed(max_payload_bytes=10_000)
    assert inside_function.payload(probe, function, 9_000).verdict == "ok"
    found = inside_function.payload(probe, function, 11_000)
    assert (found.verdict, "payload too large" in found.found) == ("failed", True)


@pytest.mark.parametrize(
    ("chosen", "wanted", "spare", "verdict", "says"),
    [
        ({"pool_memory_mb": 512}, 3, 0, "ok", "3 functions of 128 MB"),
        ({"pool_memory_mb": 256, "memory_max_mb": 256}, 3, 0, "warning", "2 of 3"),
        ({"pool_memory_mb": 384, "memory_max_mb": 256}, 2, 3, "warning", "Only 2 work at once, but"),
        ({"concurrent_invocations": 1}, 2, 0, "failed", "1 of 2 invocations at once end with throttled"),
    ],
)
def test_how_many_run_at_once_is_tried_out(deployed, chosen, wanted, spare, verdict, says):
    probe, function = deployed(**chosen)
    found = crowd(probe, function, wanted, spare)
    assert (found.verdict, says in found.found) == (verdict, True), found


@pytest.mark.parametrize(("allowed", "spare"), [(None, 3), (100, 3), (4, 2), (2, 0), (1, 0)])
def test_a_pool_has_room_for_twice_the_workers_and_an_aggregator_as_far_as_it_may_be_tried(allowed, spare):
    assert spare_for(2, allowed_at_once=allowed) == spare


@pytest.mark.parametrize(("api_host", "verdict"), [(True, "warning"), (False, "ok")])
def test_a_real_pool_needs_room_for_containers_that_have_answered(start, tmp_path, monkeypatch, api_host, verdict):
    server = start(pool_memory_mb=3 * 128, memory_max_mb=128, memory_default_mb=128)
    monkeypatch.setenv("OPENWHISK_AUTH", server.auth)
    platform = OpenWhiskSettings(api_host=server.api_host if api_host else None, pool_memory_mb=3 * 128)
    (pool,) = (f for f in examine(JOB, settings(platform, DirectorySettings(tmp_path))) if f.check == "pool")
    assert pool.verdict == verdict
    assert ("5 x 128 MB" in pool.advice) == api_host


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), max_size=20))
def test_most_at_once_is_what_counting_at_every_moment_gives(spans):
    spans = [(start, start + length) for start, length in spans]
    counted = max((sum(start <= moment < end for start, end in spans) for moment in range(41)), default=0)
    assert most_at_once(spans) == counted


# --- clocks


@pytest.mark.parametrize(("shift_s", "verdict"), [(0.0, "ok"), (5.0, "warning"), (-5.0, "warning"), (2000.0, "failed")])
def test_a_clock_of_ours_that_was_set_wrong_is_noticed(deployed, monkeypatch, shift_s, verdict):
    probe, function = deployed()
    probe.invoke(function)  # the rest are warm
    monkeypatch.setattr(clock, "now", lambda: now() + shift_s)
    found = clock.inside(probe, function, probe.platform.client)
    assert [f.verdict for f in found] == [verdict] * 2, found


@given(st.floats(-2e3, 2e3), st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=5))
def test_the_true_difference_is_within_what_reads_narrow_it_down_to(ahead_s, delays):
    """A read happens some time after we begin, and some time before we have its answer."""
    bounds = [clock.Ahead(low=ahead_s - after, high=ahead_s + before) for before, after in delays]
    found = clock.narrowed(bounds)
    assert found.low <= ahead_s <= found.high
    assert found.at_least_s <= abs(ahead_s)


# --- all of it


def test_what_is_found_in_a_function_needs_one_and_nothing_is_left_behind(start, tmp_path, monkeypatch):
    server = start(memory_max_mb=200, memory_default_mb=200)
    monkeypatch.setenv("OPENWHISK_AUTH", server.auth)
    platform = OpenWhiskSettings(api_host=server.api_host, request_timeout_s=1)
    wanted = settings(platform, DirectorySettings(tmp_path / "store"), replace(SMALL, memory_mb=256))
    found = {f.check: f.verdict for f in examine(JOB, wanted)}
    assert (found["memory"], found["deployment"], found["in a function"]) == ("failed", "failed", "not checked")
    small = replace(wanted, client=SMALL, aggregator=SMALL)
    found = {f.check: f.verdict for f in examine(JOB, small)}
    assert found["deployment"] == found["store, functions"] == found["payload"] == found["pool"] == "ok"
    assert client(server).actions() == ()
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_without_a_platform_nothing_else_is_tried(start, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWHISK_AUTH", "somebody:wrong")
    platform = OpenWhiskSettings(api_host=start().api_host, request_timeout_s=1)
    found = list(examine(JOB, settings(platform, DirectorySettings(tmp_path))))
    assert [f.verdict for f in found[-2:]] == ["failed", "not checked"]
