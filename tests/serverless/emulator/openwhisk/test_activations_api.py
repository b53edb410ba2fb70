"""Reading activation records."""

import pytest


@pytest.fixture(scope="module")
def history(whisk):
    """Five activations of two actions, the ids in order."""
    whisk.request("PUT", "packages/pack", json={})
    for name in ("alpha", "beta", "pack/alpha"):
        whisk.put(name, f"def main(args):\n    print('line of {name}')\n    return args\n")
    names = ("alpha", "beta", "alpha", "pack/alpha", "alpha")
    return [whisk.call(name, {"i": i}).json() for i, name in enumerate(names)]


def ids(whisk, **query):
    return [record["activationId"] for record in whisk.request("GET", "activations", params=query).json()]


def test_list_is_newest_first_and_short(whisk, history):
    listed = whisk.request("GET", "activations").json()
    assert [entry["activationId"] for entry in listed] == [record["activationId"] for record in history[::-1]]
    assert listed[0]["statusCode"] == 0
    assert "response" not in listed[0]
    assert "logs" not in listed[0]


def test_list_by_name(whisk, history):
    assert ids(whisk, name="alpha") == [history[i]["activationId"] for i in (4, 2, 0)]
    assert ids(whisk, name="pack/alpha") == [history[3]["activationId"]]
    assert ids(whisk, name="gamma") == []


def test_list_by_time(whisk, history):
    first, third = history[0]["start"], history[2]["start"]
    starts = [record["start"] for record in history]
    between = [r["activationId"] for r in history[::-1] if first <= r["start"] <= third]
    assert ids(whisk, since=first, upto=third) == between
    assert ids(whisk, since=max(starts) + 1) == []
    assert ids(whisk, upto=min(starts) - 1) == []


def test_list_in_pages_and_counted(whisk, history):
    assert ids(whisk, limit=2, skip=1) == [history[i]["activationId"] for i in (3, 2)]
    counted = whisk.request("GET", "activations", params={"count": "true", "name": "alpha"})
    assert counted.json() == {"activations": 3}


def test_docs_are_whole_records(whisk, history):
    listed = whisk.request("GET", "activations", params={"docs": "true", "limit": 1}).json()[0]
    assert listed == whisk.record(history[-1]["activationId"])
    both = whisk.request("GET", "activations", params={"docs": "true", "count": "true"})
    assert both.status_code == 400
    assert both.json()["error"] == "The parameter 'docs' is not permitted with 'count'."


@pytest.mark.parametrize(
    "query", [{"since": "noon"}, {"upto": "1.5"}, {"name": "a/b/c"}, {"name": "-a"}, {"limit": "201"}]
)
def test_list_refuses_bad_filters(whisk, query):
    assert whisk.request("GET", "activations", params=query).status_code == 400


def test_parts_of_a_record(whisk, history):
    one = f"activations/{history[1]['activationId']}"
    assert whisk.request("GET", f"{one}/result").json() == history[1]["response"]
    logs = whisk.request("GET", f"{one}/logs").json()
    assert list(logs) == ["logs"]
    assert [line[31:] for line in logs["logs"]] == ["stdout: line of beta"]


@pytest.mark.parametrize(
    ("activation_id", "status", "says"),
    [
        ("0" * 32, 404, "The requested resource does not exist."),
        ("12", 400, "Activation id length is 2 but must be 32."),
        ("G" * 32, 400, "The activation id is not valid."),
    ],
)
@pytest.mark.parametrize("part", ["", "/logs", "/result"])
def test_ids_that_lead_nowhere(whisk, activation_id, status, says, part):
    answer = whisk.request("GET", f"activations/{activation_id}{part}")
    assert (answer.status_code, answer.json()["error"]) == (status, says)


def test_only_the_newest_records_are_kept(start):
    whisk = start(activations_kept=2)
    whisk.put("echo", "def main(args):\n    return args\n")
    made = [whisk.call("echo").json()["activationId"] for _ in range(3)]
    assert ids(whisk) == made[:0:-1]
    assert whisk.request("GET", f"activations/{made[0]}").status_code == 404
