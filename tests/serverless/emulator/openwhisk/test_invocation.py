"""Invoking: what goes in, what comes out, and when."""

import json
import time

import pytest

ECHO = "def main(args):\n    return args\n"
SLEEP = "import time\ndef main(args):\n    time.sleep(args['s'])\n    return {'slept': args['s']}\n"


def test_a_blocking_call_answers_with_the_record_less_its_logs(whisk, tools):
    whisk.put("record", "def main(args):\n    print('said')\n    return {'twice': 2 * args['x']}\n")
    answer = whisk.call("record", {"x": 21})
    record = answer.json()
    assert answer.status_code == 200
    assert answer.headers["x-openwhisk-activation-id"] == record["activationId"]
    assert record["response"] == {"status": "success", "success": True, "result": {"twice": 42}, "size": 13}
    assert (record["namespace"], record["subject"], record["name"]) == ("guest", "guest", "record")
    assert (record["version"], record["publish"], record["logs"]) == ("0.0.1", False, [])
    assert record["duration"] == record["end"] - record["start"]
    notes = tools.annotations(record)
    assert notes["path"] == "guest/record"
    assert notes["kind"] == "python:3"
    assert notes["timeout"] is False
    assert notes["limits"]["memory"] == 256
    assert notes["waitTime"] >= 0
    stored = whisk.record(record["activationId"])
    assert stored == record | {"logs": stored["logs"]}
    assert [line.split(maxsplit=1)[1] for line in stored["logs"]] == ["stdout: said"]


def test_result_alone(whisk):
    whisk.put("echo", ECHO, overwrite=True)
    answer = whisk.call("echo", {"deep": [1, {"ü": None}]}, result="true")
    assert answer.json() == {"deep": [1, {"ü": None}]}
    assert len(answer.headers["x-openwhisk-activation-id"]) == 32


def test_an_array_is_a_result_and_comes_bare(whisk):
    whisk.put("array", "def main(args):\n    return [1, 2]\n")
    assert whisk.call("array").json() == [1, 2]


def test_default_parameters_and_those_of_the_call(whisk):
    whisk.put("defaults", ECHO, parameters=[{"key": "a", "value": 1}, {"key": "b", "value": {"x": 2}}])
    assert whisk.call("defaults", {"b": 3, "c": 4}, result="true").json() == {"a": 1, "b": 3, "c": 4}
    assert whisk.request("POST", "actions/defaults", params={"blocking": "true", "result": "true"}).json() == {
        "a": 1,
        "b": {"x": 2},
    }


def test_final_parameters_cannot_be_overridden(whisk):
    final = [{"key": "final", "value": True}]
    parameters = [{"key": "a", "value": 1}, {"key": "open", "value": None}]
    whisk.put("final", ECHO, parameters=parameters, annotations=final)
    refused = whisk.call("final", {"a": 2})
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("Request defines parameters that are not allowed")
    assert whisk.call("final", {"open": 2}, result="true").json() == {"a": 1, "open": 2}


def test_init_parameters_become_the_environment(whisk):
    code = "import os\ndef main(args):\n    return {'env': os.environ.get('mode'), 'args': args}\n"
    whisk.put("initial", code, parameters=[{"key": "mode", "value": {"fast": True}, "init": True}])
    assert whisk.call("initial", result="true").json() == {"env": '{"fast":true}', "args": {}}


def test_what_a_function_sees_of_its_activation(whisk):
    code = (
        "import os, time\nAT_INIT = dict(os.environ)\n"
        "def main(args):\n"
        "    seen = {k: v for k, v in os.environ.items() if k.startswith('__OW_')}\n"
        "    return {'seen': seen, 'init_id': AT_INIT['__OW_ACTIVATION_ID'], 'now': time.time()}\n"
    )
    whisk.put("context", code, limits={"timeout": 30000})
    first = whisk.call("context").json()
    second = whisk.call("context").json()
    seen = second["response"]["result"]["seen"]
    assert seen["__OW_API_HOST"] == whisk.handle.api_host
    assert seen["__OW_NAMESPACE"] == "guest"
    assert seen["__OW_ACTION_NAME"] == "/guest/context"
    assert seen["__OW_ACTION_VERSION"] == "0.0.1"
    assert seen["__OW_ACTIVATION_ID"] == second["activationId"]
    assert second["response"]["result"]["init_id"] == first["activationId"]
    assert 0 < int(seen["__OW_DEADLINE"]) - second["start"] <= 31000
    assert seen["__OW_TRANSACTION_ID"]
    assert "__OW_API_KEY" not in seen


def test_the_key_is_for_actions_that_ask(whisk):
    code = "import os\ndef main(args):\n    return {'key': os.environ.get('__OW_API_KEY')}\n"
    whisk.put("asks", code, annotations=[{"key": "provide-api-key", "value": True}])
    assert whisk.call("asks", result="true").json() == {"key": whisk.handle.auth}


def test_a_zip_with_modules_of_its_own_before_installed_ones(whisk, tools):
    files = {
        "__main__.py": "from metrics import WHOSE\nimport serverless.mine, numpy\n"
        "def entry(args):\n    return {'metrics': WHOSE, 'mine': serverless.mine.HERE, 'data': open('d.txt').read()}\n",
        "metrics/__init__.py": "WHOSE = 'the zip'\n",
        "serverless/__init__.py": "",
        "serverless/mine.py": "HERE = True\n",
        "d.txt": "text",
    }
    whisk.put("zipped", tools.zipped(files), main="entry")
    assert whisk.call("zipped", result="true").json() == {"metrics": "the zip", "mine": True, "data": "text"}


def test_a_non_blocking_call_is_accepted_and_its_record_comes_later(whisk):
    whisk.put("later", SLEEP)
    answer = whisk.invoke("later", {"s": 2.0})
    assert answer.status_code == 202
    activation_id = answer.json()["activationId"]
    assert answer.headers["x-openwhisk-activation-id"] == activation_id
    assert whisk.request("GET", f"activations/{activation_id}").status_code == 404, "it has not ended"
    assert whisk.record(activation_id)["response"]["result"] == {"slept": 2.0}


def test_a_blocking_call_above_its_timeout_becomes_202(whisk):
    whisk.put("slow", SLEEP)
    started = time.monotonic()
    answer = whisk.call("slow", {"s": 1.0}, timeout=200)
    assert answer.status_code == 202
    assert time.monotonic() - started >= 0.2
    assert whisk.record(answer.json()["activationId"])["response"]["result"] == {"slept": 1.0}


def test_a_blocking_call_above_the_servers_limit_becomes_202(start):
    whisk = start(blocking_wait_s=0.2)
    whisk.put("slow", SLEEP)
    assert whisk.call("slow", {"s": 1.0}).status_code == 202


@pytest.mark.parametrize("timeout", ["0", "60001", "-1", "soon"])
def test_timeouts_that_are_not_allowed(whisk, timeout):
    whisk.put("echo", ECHO, overwrite=True)
    answer = whisk.call("echo", timeout=timeout)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith("Timeout must be number of milliseconds up to 60000.")


def test_the_payload_has_a_size(whisk):
    whisk.put("echo", ECHO, overwrite=True)
    fits = {"x": "y" * ((1 << 20) - len(json.dumps({"x": ""})))}
    assert whisk.call("echo", fits, result="true").json() == fits
    too_big = whisk.call("echo", {"x": fits["x"] + "y"})
    assert too_big.status_code == 413
    assert too_big.json()["error"] == "Request larger than allowed: 1048577 > 1048576 bytes."


def test_a_payload_must_be_an_object(whisk):
    whisk.put("echo", ECHO, overwrite=True)
    assert whisk.request("POST", "actions/echo", json=[1]).status_code == 400


def test_an_action_deleted_while_it_runs_still_ends(whisk):
    whisk.put("leaving", SLEEP)
    activation_id = whisk.invoke("leaving", {"s": 0.3}).json()["activationId"]
    whisk.request("DELETE", "actions/leaving")
    assert whisk.record(activation_id)["response"]["success"] is True
