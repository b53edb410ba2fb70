"""What a function is given opens what it needs for its one piece of work, and nothing of its neighbours."""

import time
from itertools import permutations
from urllib.parse import urlsplit

import pytest

from serverless.functions.transfer import TransferError, deliver, fetch
from serverless.storage import DirectorySettings, address, open_store
from serverless.storage.run_objects import RunObjects
from task.job import FederatedJob
from tests.support.local_s3 import start_minio
from tests.support.tiers import starts

JOB = FederatedJob(clients_per_round=2, rounds=1)


def objects_in(store, grant_s):
    objects = RunObjects(store, JOB, grant_s)
    objects.adopt(0, 1, "0" * 64)
    return objects


@pytest.fixture
def minio(running, deployed_for):
    deployed_for(address(running.settings()))
    return running


@pytest.fixture(scope="module")
@starts("server")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minio")
    with start_minio(folder, folder / "log") as server:
        yield server


def urls_of(params):
    return {name: value for name, value in params.items() if name.endswith("_url")}


def refused(use, *arguments):
    with pytest.raises(TransferError) as caught:
        use(*arguments)
    return caught.value.status == 403


def test_a_client_reaches_its_own_data_and_weights_and_nothing_of_its_neighbours(minio):
    store = open_store(minio.settings(), "runs/grants", minio.env)
    objects = objects_in(store, grant_s=60)
    mine, theirs = (urls_of(objects.client_params(1, client, 1)) for client in (3, 4))
    for url in {*mine.values(), *theirs.values()}:
        store.put(urlsplit(url).path.removeprefix("/serverless-fl/runs/grants/"), b"content")
    for name, url in mine.items():
        is_for_writing = name == "update_url"
        if is_for_writing:
            deliver(url, b"update")
        else:
            assert fetch(url) == b"content"
        assert refused(fetch, url) if is_for_writing else refused(deliver, url, b"overwritten")
    for own, other in permutations([*mine.values(), *theirs.values()], 2):
        if urlsplit(own).path != urlsplit(other).path:  # the signature of the one does not open the other
            forged = f"{other.partition('?')[0]}?{urlsplit(own).query}"
            assert refused(fetch, forged)
            assert refused(deliver, forged, b"overwritten")


def test_what_is_granted_for_a_second_is_worth_nothing_after_it(minio):
    store = open_store(minio.settings(), "runs/short", minio.env)
    params = urls_of(objects_in(store, grant_s=1).client_params(1, 3, 1))
    time.sleep(2.1)
    assert refused(fetch, params["data_url"])
    assert refused(deliver, params["update_url"], b"late")


def test_a_folder_promises_less_and_says_so(tmp_path, deployed_for):
    """A ``file://`` URL names one object of the own run; verb and expiry are the function's word alone."""
    store = open_store(DirectorySettings(tmp_path), "runs/a")
    deployed_for(address(DirectorySettings(tmp_path)))
    store.put("x", b"mine")
    url = store.grant("x", "GET", 1)
    time.sleep(1.1)
    assert fetch(url) == b"mine"  # expired, as a server would say
    deliver(url, b"written")  # for reading, as a server would say
    assert store.get("x") == b"written"
