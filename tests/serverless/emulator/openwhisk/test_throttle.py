"""429: too many in a minute, too many at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from serverless.emulator.openwhisk.throttle import Throttle
from serverless.emulator.rest import ApiError

SLEEP = "import time\ndef main(args):\n    time.sleep(args.get('s', 0))\n    return {}\n"


@pytest.fixture
def minute(monkeypatch):
    """A clock that the test sets."""
    clock = {"now": 6000.0}
    monkeypatch.setattr("serverless.emulator.openwhisk.throttle.time.time", lambda: clock["now"])
    return clock


def test_the_rate_counts_refused_requests_and_starts_again_with_the_next_minute(minute):
    throttle = Throttle(per_minute=2, concurrent=10)
    throttle.check()
    throttle.check()
    for count in (3, 4):
        with pytest.raises(ApiError) as refused:
            throttle.check()
        assert refused.value.status == 429
        assert refused.value.message == f"Too many requests in the last minute (count: {count}, allowed: 2)."
    minute["now"] += 59.9
    with pytest.raises(ApiError):
        throttle.check()
    minute["now"] += 0.1
    throttle.check()


def test_the_rate_over_http(start):
    whisk = start(invocations_per_minute=3)
    whisk.put("quick", SLEEP)
    answers = [whisk.invoke("quick") for _ in range(8)]  # of 8, a turn of the minute lets 6 pass at most
    refused = [answer for answer in answers if answer.status_code == 429]
    assert [answer.status_code for answer in answers[:3]] == [202] * 3 or len(refused) >= 2
    assert len(refused) >= 2
    assert "Too many requests in the last minute (count: " in refused[0].json()["error"]
    assert refused[0].json()["error"].endswith(", allowed: 3).")
    unknown = [whisk.invoke("no_such_action").status_code for _ in range(8)]
    assert 429 in unknown, "the rate is checked before anything is looked up"
    assert whisk.request("GET", "actions").status_code == 200, "only invocations are counted"


def test_too_many_at_once(start):
    whisk = start(concurrent_invocations=2)
    whisk.put("slow", SLEEP)
    running = [whisk.invoke("slow", {"s": 2.0}).json()["activationId"] for _ in range(2)]
    refused = whisk.call("slow")
    assert refused.status_code == 429
    assert refused.json()["error"] == "Too many concurrent requests in flight (count: 2, allowed: 2)."
    for activation in running:
        assert whisk.record(activation)["response"]["success"] is True
    assert whisk.call("slow").status_code == 200


def test_callers_that_wait_for_each_answer_never_exceed_their_number(start):
    whisk = start(concurrent_invocations=4)
    whisk.put("quick", SLEEP, limits={"memory": 128})

    def caller(_):
        own = type(whisk)(whisk.handle)
        return [own.call("quick").status_code for _ in range(25)]

    with ThreadPoolExecutor(4) as callers:
        assert list(callers.map(caller, range(4))) == [[200] * 25] * 4
