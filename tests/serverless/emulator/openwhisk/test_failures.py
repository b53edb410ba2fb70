"""What goes wrong inside a function, in OpenWhisk's words."""

import pytest

WARNING = "stderr: The action did not initialize or run as expected. Log data might be missing."


def fail(whisk, code, **limits):
    """Put and call an action that fails; return the HTTP answer's record with its stored logs."""
    whisk.put("failing", code, overwrite=True, limits=limits)
    answer = whisk.call("failing")
    record = whisk.record(answer.json()["activationId"])
    assert record["response"] == answer.json()["response"]
    assert record["response"]["success"] is False
    return answer.status_code, record


def texts(record):
    return [line[31:] for line in record["logs"]]


def test_an_exception_is_an_application_error(whisk):
    status, record = fail(whisk, "def main(args):\n    raise ValueError('no good')\n")
    assert status == 502
    assert record["response"]["status"] == "application error"
    assert record["response"]["result"] == {"error": "no good"}
    assert "stderr: ValueError: no good" in texts(record)
    assert any('main__.py", line 2' in line for line in texts(record)), "the traceback leads into the function"


def test_an_error_field_is_an_application_error(whisk):
    status, record = fail(whisk, "def main(args):\n    return {'error': {'code': 7}, 'more': 1}\n")
    assert (status, record["response"]["status"]) == (502, "application error")
    assert record["response"]["result"] == {"error": {"code": 7}}
    assert whisk.call("failing", result="true").json() == {"error": {"code": 7}}


def test_after_an_application_error_the_container_stays(whisk):
    _, first = fail(whisk, "import os\ndef main(args):\n    return {'error': os.getpid()}\n")
    second = whisk.call("failing").json()
    assert first["response"]["result"] == second["response"]["result"]


@pytest.mark.parametrize(
    "result", ["'text'", "7", "True", "float('nan')", "{'x': float('inf')}", "{1, 2}", "{'f': main}"]
)
def test_a_result_that_is_no_json_object_or_array(whisk, result):
    status, record = fail(whisk, f"def main(args):\n    return {result}\n")
    assert (status, record["response"]["status"]) == (502, "action developer error")
    assert record["response"]["result"] == {"error": "The action did not return a dictionary or array."}
    assert texts(record)[-1] == WARNING


def test_no_result(whisk):
    status, record = fail(whisk, "def main(args):\n    pass\n")
    assert (status, record["response"]["status"]) == (502, "action developer error")
    assert record["response"]["result"]["error"] == (
        "The action did not produce a valid JSON or JSON Array response: null"
    )


@pytest.mark.parametrize(
    "code",
    [
        "def main(args):\n    return {",
        "raise RuntimeError('at import')",
        "import no_such_module_anywhere\ndef main(args):\n    return {}",
        "def another(args):\n    return {}",
        "raise SystemExit(3)",
    ],
)
def test_code_that_cannot_be_loaded(whisk, tools, code):
    status, record = fail(whisk, code)
    assert (status, record["response"]["status"]) == (502, "action developer error")
    assert record["response"]["result"] == {"error": "Cannot start action. Check logs for details."}
    assert "initTime" in tools.annotations(record)
    assert len(record["logs"]) > 1, "the reason is in the logs"
    assert texts(record)[-1] == WARNING


def test_a_zip_without_main(whisk, tools):
    _, record = fail(whisk, tools.zipped({"other.py": ""}))
    assert record["response"]["result"]["error"].startswith("The action failed to generate or locate a binary.")
    assert "stderr: Zip file does not include __main__.py" in texts(record)


@pytest.mark.parametrize("name", ["../escaped.txt", "/tmp/escaped_absolutely.txt", "a/../../escaped.txt"])
def test_a_zip_that_wants_out_is_not_unpacked(whisk, tools, name):
    _, record = fail(whisk, tools.zipped({name: "x", "__main__.py": "def main(args):\n    return {}\n"}))
    assert record["response"]["status"] == "action developer error"
    assert any("lies outside the action's folder" in line for line in texts(record))


def test_base64_that_is_no_zip(whisk):
    _, record = fail(whisk, "bm90IGEgemlw")
    assert record["response"]["result"]["error"].startswith("The action failed to generate or locate a binary.")


def test_exit(whisk):
    _, record = fail(whisk, "import sys\ndef main(args):\n    print('bye')\n    sys.exit(0)\n")
    assert record["response"]["status"] == "action developer error"
    assert record["response"]["result"] == {"error": "command exited"}
    assert "stdout: bye" in texts(record)


@pytest.mark.parametrize("during_init", [True, False])
def test_the_process_dies(whisk, during_init):
    dying = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    code = dying if during_init else f"def main(args):\n    {dying.replace(chr(10), ';')}\n"
    status, record = fail(whisk, code)
    assert (status, record["response"]["status"]) == (502, "action developer error")
    assert record["response"]["result"]["error"] == (
        "The action did not initialize and exited unexpectedly."
        if during_init
        else "The action did not produce a valid response and exited unexpectedly."
    )


@pytest.mark.parametrize("during_init", [True, False])
def test_the_time_limit(whisk, tools, during_init):
    code = "import time\nprint('before', flush=True)\n" + (
        "time.sleep(60)\n" if during_init else "def main(args):\n    time.sleep(60)\n"
    )
    status, record = fail(whisk, code, timeout=1500)
    assert (status, record["response"]["status"]) == (502, "action developer error")
    end = " during initialization." if during_init else "."
    assert record["response"]["result"]["error"] == f"The action exceeded its time limits of 1500 milliseconds{end}"
    assert tools.annotations(record)["timeout"] is True
    assert record["duration"] >= 1500
    assert texts(record) == ["stdout: before", WARNING]


EATER = (
    "def main(args):\n"
    "    eaten = [bytearray(b'x' * (1 << 20)) for _ in range(args['mb'])]\n"
    "    return {'mb': len(eaten)}\n"
)


@pytest.mark.parametrize("enforcement", ["auto", "watchdog"])
def test_the_memory_limit(start, enforcement):
    whisk = start(memory_enforcement=enforcement)
    assert (whisk.handle.memory_enforcement == "watchdog") == (enforcement == "watchdog") or enforcement == "auto"
    # Slower than the watchdog's interval, so that both kinds of enforcement must catch it.
    code = EATER.replace("for _ in", "for i in").replace("bytearray(", "__import__('time').sleep(.001) or bytearray(")
    whisk.put("eater", code, limits={"memory": 128})
    assert whisk.call("eater", {"mb": 32}, result="true").json() == {"mb": 32}
    answer = whisk.call("eater", {"mb": 400})
    assert answer.status_code == 502
    assert answer.json()["response"]["status"] == "action developer error"
    assert answer.json()["response"]["result"] == {"error": "The action exhausted its memory and was aborted."}
    assert whisk.call("eater", {"mb": 32}, result="true").json() == {"mb": 32}, "a fresh container takes over"


def test_a_result_above_the_limit_is_an_application_error_with_its_beginning(whisk):
    status, record = fail(whisk, "def main(args):\n    return {'x': 'y' * (1 << 20)}\n")
    assert (status, record["response"]["status"]) == (502, "application error")
    length = (1 << 20) + len('{"x": ""}')
    error = record["response"]["result"]["error"]
    assert error.startswith(
        f"The action produced a response that exceeded the allowed length: {length} > 1048576 bytes. "
        'The truncated response was: {"x": "yyy'
    )
    assert record["response"]["size"] == length


def test_after_a_developer_error_the_next_call_is_cold(whisk, tools):
    code = "import os\ndef main(args):\n    return os.getpid() if args.get('bad') else {'pid': os.getpid()}\n"
    whisk.put("sometimes", code)
    before = whisk.call("sometimes", result="true").json()["pid"]
    whisk.call("sometimes", {"bad": True})
    after = whisk.call("sometimes").json()
    assert after["response"]["result"]["pid"] != before
    assert "initTime" in tools.annotations(after)


def test_a_container_that_cannot_be_started_is_an_internal_error(start):
    whisk = start(python="/no/such/python")
    whisk.put("never", "def main(args):\n    return {}\n")
    answer = whisk.call("never")
    assert answer.status_code == 500
    assert answer.json()["response"]["status"] == "whisk internal error"
    assert answer.json()["response"]["result"] == {"error": "Failed to provision resources to run the action."}
