"""Requests that no client of ours sends are refused in order; the server itself never fails."""

import json

import pytest

from serverless.emulator.containers.container import Answer
from serverless.emulator.openwhisk import outcome
from tests.fuzz.bodies import IMAGE, answer

GOOGLE = "/v2/projects/p/locations/l/functions"
LONG = "9" * 5000  # more digits than Python makes a number of
SOURCE = {"storageSource": {"bucket": "embedded-sources", "object": "o.zip"}}


def ask(platform, line, body=None, authorization=b"RIGHT"):
    """Return the status and the text of the answer to one request."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"{line} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    said = answer(platform, head.encode() + b"Authorization: " + authorization + b"\r\n\r\n" + data).decode()
    return int(said.split()[1]), said


@pytest.mark.parametrize(
    ("platform", "line"),
    [
        ("google", f"GET {GOOGLE}"),
        ("openfaas", "GET /system/functions"),
        ("openwhisk", "GET /api/v1/namespaces/_/actions"),
    ],
)
@pytest.mark.parametrize("scheme", [b"Basic ", b"Bearer ", b""])
def test_credentials_of_any_bytes_are_wrong_ones(platform, line, scheme):
    assert ask(platform, line, authorization=scheme + b"\xff\xfe\x80")[0] == 401
    assert ask(platform, line)[0] == 200


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"buildConfig": "x"}, 400, "Invalid value at 'buildConfig'"),
        ({"buildConfig": None}, 200, "operation-1"),
        ({"buildConfig": {"source": []}}, 400, "Invalid value at 'source'"),
        ({"serviceConfig": {"environmentVariables": "x"}}, 400, "Invalid value at 'environmentVariables'"),
    ],
)
def test_google_takes_no_other_type_for_an_object(changes, status, words):
    found, said = ask("google", f"POST {GOOGLE}?functionId=name", {"buildConfig": {"source": SOURCE}} | changes)
    assert (found, words in said) == (status, True)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"timeoutSeconds": [1]}, "timeoutSeconds is no whole number"),
        ({"timeoutSeconds": LONG}, "timeoutSeconds is no whole number"),
        ({"maxInstanceCount": {}}, "maxInstanceCount is no whole number"),
        ({"availableMemory": 7.5e300}, "quantities must be a number"),
        ({"availableMemory": "9" * 400}, "quantities must be a number"),
        ({"environmentVariables": {"A": 1}}, "environmentVariables must map texts to texts"),
    ],
)
def test_google_says_in_the_operation_which_value_is_none(config, words):
    body = {"buildConfig": {"source": SOURCE}, "serviceConfig": config}
    create = f"POST {GOOGLE}?functionId=name"
    data = json.dumps(body)
    head = "HTTP/1.1\r\nHost: h\r\nAuthorization: RIGHT\r\nContent-Type: application/json\r\n"
    both = f"{create} {head}Content-Length: {len(data)}\r\n\r\n{data}"
    both += f"GET /v2/projects/p/locations/l/operations/operation-1 {head}\r\n"
    said = answer("google", both.encode()).decode()
    assert said.count("HTTP/1.1 200") == 2
    assert f"Build failed: {words}" in said


def test_a_mask_leads_only_through_objects():
    create = {"buildConfig": {"source": SOURCE}, "labels": "text"}
    data, change = json.dumps(create), json.dumps({"labels": "text"})
    head = "HTTP/1.1\r\nHost: h\r\nAuthorization: RIGHT\r\nContent-Type: application/json\r\n"
    both = f"POST {GOOGLE}?functionId=name {head}Content-Length: {len(data)}\r\n\r\n{data}"
    both += f"PATCH {GOOGLE}/name?updateMask=labels.a {head}Content-Length: {len(change)}\r\n\r\n{change}"
    assert "HTTP/1.1 400" in answer("google", both.encode()).decode()


@pytest.mark.parametrize(
    ("platform", "line"),
    [
        ("google", f"GET {GOOGLE}?pageToken={LONG}"),
        ("openwhisk", f"POST /api/v1/namespaces/_/actions/a?blocking=true&timeout={LONG}"),
    ],
)
def test_numbers_of_any_length_are_refused(platform, line):
    assert ask(platform, line)[0] == 400


def test_a_page_size_of_any_length_is_the_largest():
    assert ask("google", f"GET {GOOGLE}?pageSize={LONG}")[0] == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"labels": {"com.openfaas.scale.max": LONG}}, 400),
        ({"limits": {"memory": "9" * 400}}, 400),
        ({"envVars": {"exec_timeout": "9" * 400}}, 202),  # no duration: the default, as of-watchdog has it
        ({"envVars": {"exec_timeout": "9" * 400 + "s"}}, 202),
    ],
)
def test_openfaas_refuses_numbers_that_are_none(changes, status):
    body = {"service": "f", "image": f"embedded/{IMAGE}"} | changes
    assert ask("openfaas", "POST /system/functions", body)[0] == status


@pytest.mark.parametrize(
    ("platform", "line"),
    [
        ("google", f"POST {GOOGLE}?functionId=name"),
        ("openfaas", "POST /system/functions"),
        ("openwhisk", "PUT /api/v1/namespaces/_/actions/a"),
    ],
)
@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b"\xff", b'{"a": 1' + b"0" * 5000 + b"}"], ids=["nested", "no text", "long"]
)
def test_json_that_cannot_be_read_is_refused(platform, line, body):
    assert ask(platform, line, body)[0] == 400


def test_an_answer_that_is_nested_too_deeply_is_an_error_of_the_function():
    body = b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    assert outcome.of_run(Answer(200, body, len(body))).status_code == 2  # a developer error
