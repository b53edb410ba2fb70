"""Whatever a client sends, the server answers in order: never a 5xx of its own, always OpenWhisk's error body."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def mostly(valid):
    return st.one_of(st.just(valid), JSON)


KEY_VALUES = st.lists(st.fixed_dictionaries({"key": mostly("k"), "value": JSON}, optional={"init": JSON}), max_size=3)
ACTION = st.fixed_dictionaries(
    {},
    optional={
        "exec": st.fixed_dictionaries(
            {"kind": mostly("python:3")}, optional={"code": mostly("def main(a): return a"), "main": mostly("main")}
        )
        | JSON,
        "limits": st.dictionaries(st.sampled_from(["memory", "timeout", "logs", "concurrency"]), JSON) | JSON,
        "parameters": KEY_VALUES | JSON,
        "annotations": KEY_VALUES | JSON,
        "delAnnotations": JSON,
        "version": mostly("0.0.9"),
        "publish": mostly(True),
    },
)
FAIR = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)


def check(answer):
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["error"]
        assert answer.json()["code"] == answer.headers["X-Request-ID"]


@FAIR
@given(body=ACTION | JSON, overwrite=st.sampled_from(["true", "false", "x", ""]))
def test_any_action(whisk, body, overwrite):
    answer = whisk.request(
        "PUT",
        "actions/any",
        params={"overwrite": overwrite},
        data=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    check(answer)
    if answer.status_code == 200:
        stored = whisk.request("GET", "actions/any")
        assert stored.json() == answer.json() or "NaN" in stored.text


@FAIR
@given(body=st.binary(max_size=200), kind=st.sampled_from(["application/json", "text/plain", "", "a/b; c"]))
def test_any_bytes(whisk, body, kind):
    for method in ("PUT", "POST"):
        check(whisk.request(method, "actions/bytes", data=body, headers={"Content-Type": kind}))


@FAIR
@given(
    path=st.sampled_from(["actions", "activations", "limits", "actions/x", "activations/" + "0" * 32]),
    query=st.dictionaries(
        st.sampled_from(["limit", "skip", "count", "docs", "name", "since", "upto", "code"]),
        st.text(max_size=6) | st.integers().map(str),
    ),
)
def test_any_query(whisk, path, query):
    check(whisk.request("GET", path, params=query))


@FAIR
@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_any_name(whisk, name):
    for method in ("GET", "DELETE", "POST"):
        check(whisk.session.request(method, f"{whisk.api}/namespaces/_/actions/{_quoted(name)}", timeout=10))


@FAIR
@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=50))
def test_any_header(whisk, value):
    for header in ("X-Request-ID", "Content-Type", "Accept"):
        answer = whisk.request("GET", "limits", headers={header: value.strip().encode("latin-1")})
        check(answer)


def _quoted(name):
    return "".join(f"%{byte:02X}" for byte in name.encode())


def test_a_body_nested_too_deep(whisk):
    body = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    check(whisk.request("PUT", "actions/deep", data=body, headers={"Content-Type": "application/json"}))
