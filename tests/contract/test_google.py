"""The v2 REST API as Google describes it, spoken without our client, and functions under functions-framework itself."""

import json

import pytest
import requests

from serverless.platforms.function_zip import requirements
from serverless.platforms.google import deploy
from serverless.platforms.protocol import FunctionSpec, PlatformError

JSON = {"Content-Type": "application/json"}
PARENT = "projects/embedded/locations/local"


@pytest.fixture
def google(start):
    tools = start("google")
    tools.session = requests.Session()
    tools.session.headers["Authorization"] = f"Bearer {tools.handle.auth}"
    tools.url = f"{tools.handle.api_host}/v2/{PARENT}"
    return tools


def finished(google, operation):
    """The operation's end; it is given out as not done."""
    assert operation["done"] is False
    return google.session.get(f"{google.handle.api_host}/v2/{operation['name']}").json()


def test_a_function_runs_under_functions_framework_itself(google):
    google.deploy()
    answer = google.invoke()
    commands = [" ".join(process.cmdline()) for process in google.processes()]
    assert commands
    assert all("google/guard.py" in command for command in commands)  # which becomes the framework, with a lock on it
    assert answer.result["pid"] in [process.pid for process in google.processes()]
    assert (answer.provider_s, answer.wait_s, answer.init_s) == (None, None, None)  # Google says nothing of them


def test_a_source_goes_where_it_was_told_to_and_only_as_it_was_signed(google):
    given = google.session.post(f"{google.url}/functions:generateUploadUrl", json={}).json()
    zipped = {"Content-Type": "application/zip"}
    assert requests.put(given["uploadUrl"], data=b"x").status_code == 403
    assert google.session.put(given["uploadUrl"], data=b"x", headers=zipped).status_code == 403  # with credentials
    assert requests.put(f"{given['uploadUrl']}x", data=b"x", headers=zipped).status_code == 403
    assert requests.put(given["uploadUrl"], data=b"x", headers=zipped).status_code == 200
    source = {"storageSource": given["storageSource"]}
    body = {"buildConfig": {"runtime": "python311", "entryPoint": "main", "source": source}}
    operation = google.session.post(f"{google.url}/functions?functionId=client", json=body).json()
    assert "Build failed: the code is no zip" in finished(google, operation)["error"]["message"]


def test_operations_tell_what_became_of_requests(google):
    google.deploy()
    resource = google.session.get(f"{google.url}/functions/client").json()
    assert (resource["name"], resource["state"]) == (f"{PARENT}/functions/client", "ACTIVE")
    config = resource["serviceConfig"]
    assert (config["availableMemory"], config["availableCpu"], config["timeoutSeconds"]) == ("256Mi", "0.167", 20)
    again = google.session.post(f"{google.url}/functions?functionId=client", json=resource).json()
    assert finished(google, again)["error"]["code"] == 6  # ALREADY_EXISTS
    changed = {"serviceConfig": {"timeoutSeconds": 30, "availableMemory": "1Gi"}, "labels": {"a": "b"}}
    mask = "serviceConfig.timeoutSeconds"
    patched = google.session.patch(f"{google.url}/functions/client?updateMask={mask}", json=changed).json()
    after = finished(google, patched)["response"]
    assert (after["serviceConfig"]["timeoutSeconds"], after["serviceConfig"]["availableMemory"]) == (30, "256Mi")
    assert after["labels"] == resource["labels"]
    deleted = google.session.delete(f"{google.url}/functions/client").json()
    assert finished(google, deleted)["done"] is True
    for verb, path in (("GET", "functions/client"), ("DELETE", "functions/client"), ("GET", "operations/none")):
        missing = google.session.request(verb, f"{google.url}/{path}")
        assert (missing.status_code, missing.json()["error"]["status"]) == (404, "NOT_FOUND")
    bad = google.session.post(f"{google.url}/functions?functionId=X", json={})
    assert (bad.status_code, bad.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_lists_of_more_than_a_page_are_read_to_their_end(google):
    for name in ("bravo", "alpha", "charlie"):
        google.platform.deploy(FunctionSpec(name, 128, 5), "client")
    page = google.session.get(f"{google.url}/functions?pageSize=2").json()
    rest = google.session.get(f"{google.url}/functions?pageSize=2&pageToken={page['nextPageToken']}").json()
    names = [one["name"].rpartition("/")[2] for one in page["functions"] + rest["functions"]]
    assert names == ["alpha", "bravo", "charlie"]
    assert "nextPageToken" not in rest
    assert google.platform.functions() == ("alpha", "bravo", "charlie")


def test_a_function_is_closed_to_those_without_an_identity_token(google):
    google.deploy()
    url = google.session.get(f"{google.url}/functions/client").json()["url"]
    nobody, wrong = requests.post(url, json={}), requests.post(url, json={}, headers={"Authorization": "Bearer x"})
    assert (nobody.status_code, wrong.status_code) == (403, 401)
    assert "<html>" in nobody.text
    assert google.session.post(url, json={"a": 1}).json()["got"] == {"a": 1}
    assert google.session.post(f"{url}x", json={}).status_code == 404


def test_bodies_may_come_in_chunks(google):
    google.deploy()
    url = google.session.get(f"{google.url}/functions/client").json()["url"]
    text = json.dumps({"long": "x" * 300_000}).encode()
    pieces = (text[start : start + 70_001] for start in range(0, len(text), 70_001))
    assert len(google.session.post(url, data=pieces, headers=JSON).json()["got"]["long"]) == 300_000
    assert google.session.post(url, data=b"[1]", headers=JSON).status_code == 400


def test_the_same_code_and_limits_are_not_built_again(google):
    def updated():
        google.deploy()
        return google.session.get(f"{google.url}/functions/client").json()["updateTime"]

    first = updated()
    assert updated() == first
    google.version = "2"
    second = updated()
    assert second != first
    google.deploy(memory_mb=512)
    assert google.session.get(f"{google.url}/functions/client").json()["updateTime"] != second


def test_a_deployment_that_fails_is_told_in_googles_words(google, monkeypatch):
    monkeypatch.setattr(deploy, "package", lambda *args: b"no zip")
    with pytest.raises(PlatformError, match="Build failed: the code is no zip"):
        google.deploy()


@pytest.mark.parametrize(
    ("limits", "words"), [({"memory_mb": 65536}, "at most 32768 MB"), ({"timeout_s": 4000}, "above Google's 3600 s")]
)
def test_limits_that_google_does_not_have_are_refused(google, limits, words):
    with pytest.raises(PlatformError, match=words):
        google.deploy(**limits)


def test_requirements_name_the_versions_that_are_used_here():
    lines = dict(line.split("==") for line in requirements("functions-framework").splitlines())
    assert {"functions-framework", "numpy", "requests", "safetensors", "tensorflow"} <= set(lines)
    import numpy

    assert lines["numpy"] == numpy.__version__
