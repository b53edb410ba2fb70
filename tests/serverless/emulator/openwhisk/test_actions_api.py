"""Creating, reading, listing and deleting actions."""

import pytest

HELLO = "def main(args):\n    return {'greeting': 'hello ' + args.get('name', 'nobody')}\n"


def test_put_answers_with_the_action_and_openwhisks_defaults(whisk, tools):
    answer = whisk.put("created", HELLO)
    assert answer.status_code == 200
    action = answer.json()
    assert action["namespace"] == "guest"
    assert action["name"] == "created"
    assert action["version"] == "0.0.1"
    assert action["publish"] is False
    assert action["limits"] == {"timeout": 60000, "memory": 256, "logs": 10, "concurrency": 1}
    assert action["exec"] == {"kind": "python:3", "code": HELLO, "binary": False}
    assert tools.annotations(action) == {"provide-api-key": False, "exec": "python:3"}


@pytest.mark.parametrize(
    ("asked", "stored"),
    [("python:3", "python:3"), ("python:3.11", "python:3.11"), ("python:default", "python:3.11")],
)
def test_kinds(whisk, asked, stored):
    action = whisk.put("kinds", HELLO, kind=asked, overwrite=True).json()
    assert action["exec"]["kind"] == stored


def test_a_second_put_needs_overwrite_and_makes_the_next_version(whisk):
    whisk.put("versions", HELLO, limits={"memory": 128}, parameters=[{"key": "a", "value": 1}])
    refused = whisk.put("versions", HELLO)
    assert refused.status_code == 409
    assert refused.json()["error"] == "resource already exists"

    updated = whisk.put("versions", HELLO, overwrite=True, limits={"timeout": 5000}).json()
    assert updated["version"] == "0.0.2"
    assert updated["limits"]["memory"] == 128, "what an update leaves out keeps its value"
    assert updated["limits"]["timeout"] == 5000
    assert updated["parameters"] == [{"key": "a", "value": 1}]


def test_an_update_may_leave_out_the_code_and_a_creation_may_not(whisk):
    whisk.put("metadata", HELLO)
    only_limits = whisk.request(
        "PUT", "actions/metadata", params={"overwrite": "true"}, json={"limits": {"memory": 512}}
    )
    assert only_limits.json()["exec"]["code"] == HELLO
    nothing = whisk.request("PUT", "actions/nothing", json={})
    assert (nothing.status_code, nothing.json()["error"]) == (400, "exec undefined")


def test_annotations_are_merged_and_removed(whisk, tools):
    whisk.put("notes", HELLO, annotations=[{"key": "a", "value": 1}, {"key": "b", "value": 2}])
    updated = whisk.put(
        "notes", HELLO, overwrite=True, annotations=[{"key": "c", "value": 3}], delAnnotations=["a"]
    ).json()
    assert tools.annotations(updated) == {"provide-api-key": False, "b": 2, "c": 3, "exec": "python:3"}


def test_get_with_and_without_code(whisk):
    whisk.put("readable", HELLO, main="main")
    assert whisk.request("GET", "actions/readable").json()["exec"]["code"] == HELLO
    bare = whisk.request("GET", "actions/readable", params={"code": "false"}).json()
    assert bare["exec"] == {"kind": "python:3", "binary": False, "main": "main"}


def test_a_zip_is_recognised_by_its_text(whisk, tools):
    action = whisk.put("zip", tools.zipped({"__main__.py": HELLO})).json()
    assert action["exec"]["binary"] is True


def test_delete_answers_with_what_was_and_then_404(whisk):
    whisk.put("short_lived", HELLO)
    gone = whisk.request("DELETE", "actions/short_lived")
    assert (gone.status_code, gone.json()["name"]) == (200, "short_lived")
    for method in ("GET", "DELETE", "POST"):
        answer = whisk.request(method, "actions/short_lived")
        assert answer.status_code == 404
        assert answer.json()["error"] == "The requested resource does not exist."
        assert answer.json()["code"] == answer.headers["X-Request-ID"]


def test_list_pages_and_counts(start):
    whisk = start()
    names = [f"listed{i:02}" for i in range(35)]
    for name in names:
        whisk.put(name, HELLO)

    def listed(**query):
        return [action["name"] for action in whisk.request("GET", "actions", params=query).json()]

    newest_first = names[::-1]
    assert listed() == newest_first[:30]
    assert listed(limit=5, skip=3) == newest_first[3:8]
    assert listed(limit=0) == newest_first, "0 stands for the maximum"
    assert whisk.request("GET", "actions", params={"count": "true"}).json() == {"actions": 35}
    summary = whisk.request("GET", "actions", params={"limit": 1}).json()[0]
    assert summary["exec"] == {"binary": False}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"limit": "201"}, "The value '201' is not in the range of 0 to 200 for actions."),
        ({"limit": "x"}, "The value 'x' is not an integer for actions."),
        ({"skip": "-1"}, "The value '-1' is not greater than or equal to 0 for actions."),
        ({"count": "maybe"}, "'maybe' is not a valid Boolean value"),
    ],
)
def test_list_refuses_bad_queries(whisk, query, says):
    answer = whisk.request("GET", "actions", params=query)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(says)


def test_actions_in_a_package_keep_to_themselves(whisk):
    whisk.request("PUT", "packages/tools", json={})
    whisk.put("tools/same", HELLO)
    whisk.put("same", "def main(args):\n    return {'package': None}\n")
    assert whisk.request("GET", "actions/tools/same").json()["namespace"] == "guest/tools"
    assert whisk.call("tools/same", result="true").json() == {"greeting": "hello nobody"}
    assert whisk.call("same", result="true").json() == {"package": None}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"exec": {"kind": "nodejs:20", "code": "x"}}, "runtime 'nodejs:20' is not supported by this platform"),
        ({"exec": {"kind": 3, "code": "x"}}, "'kind' must be a string"),
        ({"exec": {"kind": "python:3"}}, "'code' must be a string"),
        ({"exec": {"kind": "python:3", "code": "x", "main": 1}}, "if defined, 'main' be a string"),
        ({"exec": []}, "'exec' has the wrong type"),
        ({"version": "1.x"}, "semantic version malformed"),
        ({"version": "0.0.0"}, "semantic version malformed"),
        ({"version": 1}, "semantic version malformed"),
        ({"delAnnotations": [1]}, "'delAnnotations' must be a list of strings"),
        ({"annotations": [{"key": "a"}]}, "parameters malformed!"),
        ({"parameters": [{"key": "a", "value": 1, "init": "yes"}]}, "parameters malformed!"),
        ({"limits": {"instances": -1}}, "must be greater than or equal to 0."),
        ({"limits": {"instances": 1001}}, "must not exceed your namespace concurrency of 1000."),
        ({"parameters": [{"value": 1}]}, "parameters malformed!"),
        ({"limits": {"memory": "1"}}, "memory size limit must be whole number"),
        ({"limits": {"memory": 513}}, "memory size 513 MB exceeds allowed threshold of 512 MB"),
        ({"limits": {"memory": 127}}, "memory size 127 MB below allowed threshold of 128 MB"),
        ({"limits": {"timeout": 99}}, "duration 99 milliseconds below allowed threshold of 100 milliseconds"),
        ({"limits": {"logs": 11}}, "log size 11 MB exceeds allowed threshold of 10 MB"),
        ({"limits": {"concurrency": 2}}, "concurrency 2 exceeds allowed threshold of 1"),
    ],
)
def test_put_refuses_and_says_why(whisk, body, says):
    answer = whisk.request("PUT", "actions/refused", json={"exec": {"kind": "python:3", "code": HELLO}} | body)
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert whisk.request("GET", "actions/refused").status_code == 404


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 415),
    ],
)
def test_bodies_that_are_no_json_object(whisk, body, content_type, status):
    answer = whisk.request("PUT", "actions/garbled", data=body, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize("name", ["a" * 257, "-leading", "tr%C3%A4f", "a%20"])
def test_names_that_are_not_allowed(whisk, name):
    assert whisk.put(name, HELLO).status_code == 400


def test_code_and_parameters_have_a_size(start):
    whisk = start(max_code_bytes=1000, max_parameters_bytes=100)
    too_much_code = whisk.put("big", "#" * 1001)
    assert too_much_code.status_code == 413
    assert too_much_code.json()["error"] == "exec larger than allowed: 1001 > 1000 bytes."
    too_many = whisk.put("big", HELLO, parameters=[{"key": "k", "value": "v" * 100}])
    assert too_many.status_code == 413
    assert too_many.json()["error"] == "parameters larger than allowed: 103 > 100 bytes."
    beyond_reading = whisk.put("big", "#" * (6 << 20))
    assert beyond_reading.status_code == 413


@pytest.mark.parametrize(("given", "stored"), [("1", "1.0.0"), ("2.3", "2.3.0"), ("2.3.4.5", "2.3.4")])
def test_a_version_of_ones_own_is_filled_up(whisk, given, stored):
    assert whisk.put("versioned", HELLO, overwrite=True, version=given).json()["version"] == stored


def test_limits_that_are_only_kept(start, tools):
    whisk = start(action_concurrency_max=5, concurrent_invocations=7)
    limits = {"concurrency": 5, "instances": 7, "logs": None}
    action = whisk.put("wide", HELLO, limits=limits).json()
    assert action["limits"] == {"timeout": 60000, "memory": 256, "logs": 10, "concurrency": 5, "instances": 7}
    assert whisk.put("wide", HELLO, limits={"concurrency": 6}, overwrite=True).status_code == 400
    assert whisk.put("wide", HELLO, limits={"instances": 8}, overwrite=True).status_code == 400
    assert whisk.request("GET", "limits").json()["maxActionConcurrency"] == 5
    assert tools.annotations(whisk.call("wide").json())["limits"] == action["limits"]


@pytest.mark.parametrize(
    ("annotations", "shown"),
    [
        ([{"key": "provide-api-key", "value": {}}], True),
        ([{"key": "provide-api-key", "value": ""}], False),
        ([], False),
    ],
)
def test_a_truthy_annotation_gives_the_function_its_key(whisk, annotations, shown):
    code = "import os\ndef main(args):\n    return {'key': '__OW_API_KEY' in os.environ}\n"
    whisk.put("keyed", code, overwrite=True, annotations=annotations)
    assert whisk.call("keyed", result="true").json() == {"key": shown}
    whisk.request("DELETE", "actions/keyed")


def test_without_the_annotation_at_all_the_function_gets_its_key(whisk):
    code = "import os\ndef main(args):\n    return {'key': '__OW_API_KEY' in os.environ}\n"
    whisk.put("old_style", code)
    whisk.put("old_style", code, overwrite=True, delAnnotations=["provide-api-key"])
    assert whisk.call("old_style", result="true").json() == {"key": True}
