"""The logs of containers: unit laws, and what a real function's logs look like."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from serverless.emulator.containers.logs import END_OF_ACTIVATION, ContainerLogs

MIB = 1 << 20


def collected(chunks, limit=MIB, developer_error=False, close=False):
    """Feed (fd, bytes) chunks and collect the texts without their times."""

    async def run():
        logs = ContainerLogs()
        logs.begin(limit)
        for fd, data in chunks:
            logs.feed(fd, data)
        if close:
            for fd in (1, 2):
                logs.close(fd)
        return await logs.collect(developer_error=developer_error)

    return [line[31:] for line in asyncio.run(run())]


END = END_OF_ACTIVATION + b"\n"


@given(lines=st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))), data=st.data())
def test_lines_do_not_depend_on_how_the_stream_is_cut(lines, data):
    stream = b"".join(line.encode() + b"\n" for line in lines) + END
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert collected([*((1, piece) for piece in pieces), (2, END)]) == [f"stdout: {line}" for line in lines]


def test_a_last_line_without_its_end_is_not_lost():
    assert collected([(1, b"no newline" + END), (2, END)]) == ["stdout: no newline"]


def test_a_stream_that_ends_without_the_marker():
    assert collected([(1, b"half a li")], close=True) == ["stdout: half a li"]


def test_logs_are_cut_at_the_limit_and_say_so():
    lines = collected([(1, b"x" * 9 + b"\n" + b"y" * 9 + b"\n" + b"z\n" + END), (2, END)], limit=20)
    assert lines == [
        "stdout: xxxxxxxxx",
        "stdout: yyyyyyyyy",
        "stderr: Logs were truncated because the total bytes size exceeds the limit of 20 bytes.",
    ]


def test_a_line_without_end_does_not_fill_the_memory():
    async def run():
        logs = ContainerLogs()
        logs.begin(1000)
        for _ in range(100):
            logs.feed(1, b"x" * 1000)
        assert len(logs._partial[1]) < 3000
        logs.feed(1, END)
        logs.feed(2, END)
        return await logs.collect(developer_error=False)

    assert "truncated" in asyncio.run(run())[-1]


def test_a_missing_marker_is_reported(monkeypatch):
    monkeypatch.setattr("serverless.emulator.containers.logs._COLLECT_TIMEOUT_S", 0.05)
    assert collected([(1, b"said\n" + END)]) == [
        "stdout: said",
        "stderr: There was an issue while collecting your logs. Data might be missing.",
    ]


def test_no_logs_are_kept_for_a_limit_of_zero():
    assert collected([(1, b"said\n")], limit=0) == []


def test_both_streams_with_times_and_each_activation_its_own(whisk):
    code = (
        "import os, sys\n"
        "print('while loading')\n"
        "def main(args):\n"
        "    print('out', args['i'])\n"
        "    print('err', args['i'], file=sys.stderr)\n"
        "    os.write(1, b'raw')\n"
        "    return {}\n"
    )
    whisk.put("talkative", code)
    first, second = (whisk.record(whisk.call("talkative", {"i": i}).json()["activationId"])["logs"] for i in (0, 1))

    def said(logs, stream):
        return [line[31:].removeprefix(f"{stream}: ") for line in logs if line[31:].startswith(stream)]

    assert said(first, "stdout") == ["while loading", "out 0", "raw"]
    assert said(first, "stderr") == ["err 0"]
    assert said(second, "stdout") == ["out 1", "raw"]
    assert said(second, "stderr") == ["err 1"]
    assert all(line[10] == "T" and line[26] == "Z" for line in first + second)


def test_a_function_that_says_very_much_is_neither_blocked_nor_kept_whole(whisk):
    whisk.put(
        "flood",
        "def main(args):\n    for _ in range(3000):\n        print('x' * 999)\n    return {}\n",
        limits={"logs": 1},
    )
    record = whisk.record(whisk.call("flood").json()["activationId"])
    assert record["response"]["success"] is True
    assert sum(len(line) - 31 - len("stdout: ") + 1 for line in record["logs"][:-1]) <= MIB
    assert record["logs"][-1].endswith("exceeds the limit of 1048576 bytes.")


def test_a_function_that_closes_its_streams_still_answers(whisk):
    whisk.put(
        "mute", "import os, sys\ndef main(args):\n    sys.stdout.close()\n    os.close(1)\n    return {'ok': 1}\n"
    )
    assert whisk.call("mute", result="true").json() == {"ok": 1}
    assert whisk.call("mute").status_code == 502, "closing what is closed raises in the function"
