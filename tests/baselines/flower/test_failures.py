"""What a person reads when a federation has failed."""

import pytest

from baselines.flower.failures import reason, told


def failed(error: BaseException) -> str:
    try:
        raise error
    except type(error) as raised:
        return told(raised)


def test_the_cause_is_first_and_the_traceback_is_in_the_file(tmp_path):
    (tmp_path / "flower_error.txt").write_text(failed(ValueError("no such partition")))

    said = reason(tmp_path, 300)

    assert said == f"ValueError: no such partition\nall of it: {tmp_path}/flower_error.txt"
    assert "in failed" in (tmp_path / "flower_error.txt").read_text()


def test_a_remote_traceback_is_cut_to_where_it_happened(tmp_path):
    remote = "\n".join(
        ["1 client failed:", "Traceback", *(f"frame {n}" for n in range(50)), "", "ZeroDivisionError: 0"]
    )
    (tmp_path / "flower_error.txt").write_text(failed(RuntimeError(remote)))

    lines = reason(tmp_path, 300).splitlines()

    assert lines[0] == "RuntimeError: 1 client failed:"
    assert lines[1:-1] == ["frame 47", "frame 48", "frame 49", "ZeroDivisionError: 0"]


def test_a_log_has_its_exception_first_without_colours(tmp_path):
    log = "much\n" * 5000 + "\x1b[91mERROR\x1b[0m:   it went wrong\nhttpx.ConnectError: no route\nand then the end\n"
    (tmp_path / "flower.log").write_text(log)

    said = reason(tmp_path, 300)

    assert said.startswith("httpx.ConnectError: no route\n")
    assert said.endswith(f"and then the end\nall of it: {tmp_path}/flower.log")
    assert "\x1b" not in said and "x1b" not in said and len(said) < 500


def test_the_first_of_a_chain_of_exceptions_is_the_cause(tmp_path):
    chain = ["OSError: earlier, and survived", "Traceback", "KeyError: 'the cause'", "  frame"]
    chain += ["The above exception was the direct cause of the following exception:", "RuntimeError: its effect", "end"]
    (tmp_path / "flower.log").write_text("\n".join(chain))
    assert reason(tmp_path, 300).startswith("KeyError: 'the cause'\n")


def test_a_ray_that_gave_up_is_told_as_that(tmp_path):
    (tmp_path / "flower.log").write_text("Exception: The current node timed out during startup. This could happen\n")
    assert reason(tmp_path, 300).startswith("Ray did not start within 30 s")


@pytest.mark.parametrize(
    "line",
    [
        'INFO:  127.0.0.1:42 - "POST /v1/runtime/pull-task-input HTTP/1.1" 401 Unauthorized',
        "httpx.HTTPStatusError: Client error '401 Unauthorized' for url 'https://127.0.0.1/v1/runtime/push-task-output'",
    ],
)
def test_a_task_that_came_too_late_is_told_as_that(tmp_path, line):
    (tmp_path / "flower.log").write_text(f"start\n{line}\nthe end\n")
    assert "flower.startup_timeout_s=45" in reason(tmp_path, 45)


def test_nothing_written_is_told_too(tmp_path):
    assert reason(tmp_path, 300) == f"{tmp_path}/flower.log was not written"
