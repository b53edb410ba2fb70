"""What belongs to no collection: authentication, roots, limits, unknown routes."""

import pytest
import requests


def test_without_credentials(whisk):
    answer = requests.get(f"{whisk.api}/namespaces/_/actions", timeout=10)
    assert answer.status_code == 401
    assert answer.json()["error"].startswith("The resource requires authentication")
    assert answer.headers["WWW-Authenticate"].startswith('Basic realm="OpenWhisk secure realm"')


@pytest.mark.parametrize("auth", [("", ""), ("wrong", "key"), (None, None)])
def test_with_wrong_credentials(whisk, auth):
    name, key = whisk.handle.auth.split(":")
    pair = (name, key[:-1] + ("a" if key[-1] != "a" else "b")) if auth[0] is None else auth
    for method, path in (("GET", "namespaces"), ("POST", "namespaces/_/actions/x"), ("GET", "nowhere")):
        answer = requests.request(method, f"{whisk.api}/{path}", auth=pair, timeout=10)
        assert answer.status_code == 401
        assert answer.json()["error"] == "The supplied authentication is invalid"


def test_an_authorization_header_that_is_no_base64(whisk):
    answer = requests.get(f"{whisk.api}/namespaces", headers={"Authorization": "Basic ä".encode()}, timeout=10)
    assert answer.status_code == 401


def test_another_namespace_is_forbidden(whisk):
    for path in ("namespaces/other/actions/x", "namespaces/other/activations", "namespaces/other/limits"):
        answer = whisk.session.get(f"{whisk.api}/{path}", timeout=10)
        assert answer.status_code == 403
        assert answer.json()["error"].startswith("The supplied authentication is not authorized to access 'other")


def test_the_namespace_by_its_own_name(whisk):
    assert whisk.session.get(f"{whisk.api}/namespaces", timeout=10).json() == ["guest"]
    assert whisk.session.get(f"{whisk.api}/namespaces/guest/actions", timeout=10).status_code == 200


def test_the_roots_need_no_key(whisk):
    root = requests.get(whisk.api, timeout=10).json()
    assert root["description"] == "OpenWhisk API"
    assert root["api_version_path"] == "v1"
    deployment = requests.get(f"{whisk.handle.api_host}/", timeout=10).json()
    assert deployment["api_paths"] == ["/api/v1"]
    assert deployment["limits"]["max_action_memory"] == 512 << 20
    assert requests.get(f"{whisk.handle.api_host}/ping", timeout=10).text == "pong"


def test_limits_are_the_servers_own(start):
    whisk = start(memory_max_mb=900, timeout_max_ms=1000, timeout_default_ms=1000, invocations_per_minute=7)
    limits = whisk.request("GET", "limits").json()
    assert limits["maxActionMemory"] == 900
    assert limits["maxActionTimeout"] == 1000
    assert limits["invocationsPerMinute"] == 7
    assert limits["minActionConcurrency"] == limits["maxActionConcurrency"] == 1
    assert limits["maxParameterSize"] == "1048576 B"


def test_unknown_routes_and_methods(whisk):
    missing = whisk.request("GET", "nothing")
    assert (missing.status_code, missing.json()["error"]) == (404, "The requested resource could not be found.")
    wrong = whisk.request("POST", "limits")
    assert wrong.status_code == 405
    assert wrong.json()["error"].startswith("HTTP method not allowed, supported methods: GET")


def test_a_clients_transaction_id_is_kept(whisk):
    answer = whisk.request("GET", "nothing", headers={"X-Request-ID": "mine"})
    assert answer.headers["X-Request-ID"] == answer.json()["code"] == "mine"


def test_other_origins_may_use_the_api(whisk):
    asked = requests.options(f"{whisk.api}/namespaces/_/actions/x", timeout=10)
    assert (asked.status_code, asked.text) == (200, "OK")
    for answer in (asked, whisk.request("GET", "limits"), whisk.request("GET", "actions/missing")):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET, DELETE, POST, PUT, HEAD"
        assert answer.headers["Access-Control-Allow-Headers"].startswith("Authorization, Origin, ")
    assert "Access-Control-Allow-Origin" not in requests.get(f"{whisk.handle.api_host}/ping", timeout=10).headers


def test_a_trailing_slash_makes_no_difference(whisk):
    assert whisk.session.get(f"{whisk.api}/namespaces/", timeout=10).json() == ["guest"]
    for path in ("limits", "actions", "packages", "activations"):
        assert whisk.request("GET", f"{path}/").status_code == 200


def test_there_are_no_rules_and_triggers(whisk):
    for collection in ("rules", "triggers"):
        assert whisk.request("GET", collection).json() == []
        assert whisk.request("GET", collection, params={"count": "true"}).json() == {collection: 0}
        assert whisk.request("GET", collection, params={"limit": "201"}).status_code == 400
        assert whisk.request("PUT", f"{collection}/one", json={}).status_code == 404
