"""Packages and bindings: their life, and what their actions inherit from them."""

import pytest

ECHO = "def main(args):\n    return args\n"


def pairs(**values):
    return [{"key": key, "value": value} for key, value in values.items()]


def unpaired(parameters):
    return {parameter["key"]: parameter["value"] for parameter in parameters}


def put_package(whisk, name, overwrite=False, **body):
    return whisk.request("PUT", f"packages/{name}", params={"overwrite": str(overwrite).lower()}, json=body)


def bind(whisk, name, package, **body):
    return put_package(whisk, name, binding={"namespace": "_", "name": package}, **body)


def test_create_update_read_and_delete(whisk):
    created = put_package(whisk, "life", parameters=pairs(a=1), annotations=pairs(note="x"), publish=True)
    assert created.status_code == 200
    package = created.json()
    assert package.pop("updated") > 1.6e12
    assert package == {
        "namespace": "guest",
        "name": "life",
        "version": "0.0.1",
        "publish": True,
        "binding": {},
        "parameters": pairs(a=1),
        "annotations": pairs(note="x"),
    }
    assert put_package(whisk, "life").status_code == 409
    updated = put_package(whisk, "life", overwrite=True, annotations=[]).json()
    assert (updated["version"], updated["parameters"], updated["annotations"]) == ("0.0.2", pairs(a=1), [])
    assert updated["publish"] is True
    read = whisk.request("GET", "packages/life").json()
    assert read == updated | {"actions": [], "feeds": []}
    assert whisk.request("DELETE", "packages/life").json() == updated
    for method in ("GET", "DELETE"):
        assert whisk.request(method, "packages/life").status_code == 404
    assert whisk.request("POST", "packages/life").status_code == 405


def test_a_package_shows_its_actions_and_feeds(whisk):
    put_package(whisk, "shown")
    whisk.put("shown/plain", ECHO)
    whisk.put("shown/source", ECHO, annotations=pairs(feed=True))
    whisk.put("plain", ECHO)
    package = whisk.request("GET", "packages/shown").json()
    assert [(action["name"], action["version"]) for action in package["actions"]] == [("plain", "0.0.1")]
    assert [feed["name"] for feed in package["feeds"]] == ["source"]
    listed = whisk.request("GET", "actions/shown/").json()
    assert [(action["namespace"], action["name"]) for action in listed] == [
        ("guest/shown", "source"),
        ("guest/shown", "plain"),
    ]
    assert whisk.request("GET", "actions/shown/", params={"count": "true"}).json() == {"actions": 2}


def test_a_package_with_contents_is_deleted_by_force_only(whisk):
    put_package(whisk, "full")
    for name in ("full/a", "full/b", "fuller"):
        whisk.put(name, ECHO)
    refused = whisk.request("DELETE", "packages/full")
    assert refused.status_code == 409
    assert refused.json()["error"].startswith("Package not empty (contains 2 entities). Set force param")
    whisk.request("DELETE", "actions/full/b")
    assert "(contains 1 entity)" in whisk.request("DELETE", "packages/full").json()["error"]
    assert whisk.request("DELETE", "packages/full", params={"force": "true"}).status_code == 200
    assert whisk.request("GET", "actions/full/a").status_code == 404
    put_package(whisk, "full")
    assert whisk.request("GET", "actions/full/a").status_code == 404, "a package of the same name starts empty"
    assert whisk.request("GET", "actions/fuller").status_code == 200


def test_parameters_package_then_binding_then_action_then_call(whisk, tools):
    everything = {"package": 1, "binding": 1, "action": 1, "call": 1}
    put_package(whisk, "provider", parameters=pairs(**everything))
    bind(whisk, "bound", "provider", parameters=pairs(binding=2, action=2, call=2))
    whisk.put("provider/echo", ECHO, parameters=pairs(action=3, call=3))
    direct = whisk.call("provider/echo", {"call": 4}).json()
    assert direct["response"]["result"] == {"package": 1, "binding": 1, "action": 3, "call": 4}
    assert "binding" not in tools.annotations(direct)
    through = whisk.call("bound/echo", {"call": 4}).json()
    assert through["response"]["result"] == {"package": 1, "binding": 2, "action": 3, "call": 4}
    notes = tools.annotations(through)
    assert (notes["path"], notes["binding"]) == ("guest/provider/echo", "guest/bound")
    assert "initTime" not in notes, "the binding's calls use the provider's warm containers"
    for path, parameters in (("provider", {"binding": 1}), ("bound", {"binding": 2})):
        shown = whisk.request("GET", f"actions/{path}/echo").json()
        assert unpaired(shown["parameters"]) == {"package": 1, "action": 3, "call": 3} | parameters
        assert shown["namespace"] == "guest/provider"
        assert "binding" not in shown
    bare = whisk.request("GET", "actions/bound/echo", params={"code": "false"}).json()
    assert bare["binding"] == "guest/bound"


def test_activations_are_listed_by_the_path_of_the_call(whisk):
    put_package(whisk, "origin")
    bind(whisk, "alias", "origin")
    whisk.put("origin/listed", ECHO)
    ids = {path: whisk.call(f"{path}/listed").json()["activationId"] for path in ("origin", "alias")}
    for path, activation_id in ids.items():
        found = whisk.request("GET", "activations", params={"name": f"{path}/listed"}).json()
        assert [record["activationId"] for record in found] == [activation_id]


def test_init_and_final_parameters_of_a_package(whisk):
    code = "import os\ndef main(args):\n    return {'env': os.environ.get('mode'), 'args': args}\n"
    put_package(whisk, "special", parameters=[{"key": "mode", "value": "fast", "init": True}, *pairs(fixed=1)])
    whisk.put("special/seen", code, annotations=pairs(final=True))
    assert whisk.call("special/seen", result="true").json() == {"env": "fast", "args": {"fixed": 1}}
    refused = whisk.call("special/seen", {"fixed": 2})
    assert refused.status_code == 400


def test_a_binding_shows_its_packages_actions_and_the_parameters_of_both(whisk):
    put_package(whisk, "theirs", parameters=pairs(a=1, b=1))
    whisk.put("theirs/act", ECHO)
    created = bind(whisk, "mine", "theirs", parameters=pairs(b=2)).json()
    bound = {"namespace": "guest", "name": "theirs"}
    assert created["binding"] == bound
    assert unpaired(created["annotations"]) == {"binding": bound}
    read = whisk.request("GET", "packages/mine").json()
    assert (read["name"], read["binding"]) == ("mine", bound)
    assert unpaired(read["parameters"]) == {"a": 1, "b": 2}
    assert [action["name"] for action in read["actions"]] == ["act"]
    assert [action["name"] for action in whisk.request("GET", "actions/mine/").json()] == ["act"]
    for method, body in (("PUT", {"exec": {"kind": "python:3", "code": ECHO}}), ("DELETE", None)):
        refused = whisk.request(method, "actions/mine/act", json=body)
        assert (refused.status_code, refused.json()["error"]) == (400, "Operation not permitted on package binding.")
    assert whisk.request("DELETE", "packages/mine").status_code == 200
    assert whisk.request("GET", "actions/theirs/act").status_code == 200


def test_a_binding_whose_package_is_gone(whisk):
    put_package(whisk, "passing")
    bind(whisk, "dangling", "passing")
    whisk.request("DELETE", "packages/passing")
    assert whisk.request("GET", "packages/dangling").status_code == 404
    assert whisk.call("dangling/any").status_code == 404
    assert whisk.request("DELETE", "packages/dangling").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"binding": {"namespace": "_", "name": "nothing"}}, 400, "Binding references a package that does not exist."),
        ({"binding": {"namespace": "_", "name": "an_action"}}, 409, "Cannot bind to a resource that is not a package."),
        ({"binding": {"namespace": "_", "name": "a_binding"}}, 400, "Cannot bind to another package binding."),
        ({"binding": {"namespace": "other", "name": "x"}}, 403, "not authorized to access 'other/x'."),
        ({"binding": {"name": "x"}}, 400, "entity name malformed"),
        ({"binding": {"namespace": "_", "name": "/"}}, 400, "entity name malformed"),
        ({"parameters": [{}]}, 400, "parameters malformed!"),
        ({"publish": 1}, 400, "'publish' has the wrong type"),
    ],
)
def test_put_refuses_and_says_why(whisk, body, status, says):
    whisk.put("an_action", ECHO)
    put_package(whisk, "a_package")
    bind(whisk, "a_binding", "a_package")
    answer = put_package(whisk, "refused", **body)
    assert answer.status_code == status
    assert says in answer.json()["error"]
    assert whisk.request("GET", "packages/refused").status_code == 404


def test_names_that_are_taken_or_reserved(whisk):
    whisk.put("taken_by_action", ECHO)
    put_package(whisk, "taken_by_package")
    other = "Resource by this name exists but is not in this collection."
    for answer in (
        put_package(whisk, "taken_by_action", overwrite=True),
        whisk.request("GET", "packages/taken_by_action"),
        whisk.request("GET", "actions/taken_by_action/"),
        whisk.put("taken_by_package", ECHO, overwrite=True),
        whisk.call("taken_by_package"),
        whisk.put("taken_by_action/inner", ECHO),
    ):
        assert (answer.status_code, answer.json()["error"]) == (409, other)
    reserved = put_package(whisk, "default")
    assert (reserved.status_code, reserved.json()["error"]) == (400, "Package name 'default' is reserved.")
    becoming = bind(whisk, "taken_by_package", "a_package", overwrite=True)
    assert becoming.status_code in (400, 409)


def test_a_package_does_not_become_a_binding(whisk):
    put_package(whisk, "first")
    put_package(whisk, "second")
    refused = bind(whisk, "first", "second", overwrite=True)
    assert refused.status_code == 409
    assert refused.json()["error"] == "Resource is a package and cannot be converted into a binding."


def test_an_action_needs_its_package(whisk):
    for method in ("PUT", "GET", "POST", "DELETE"):
        body = {"exec": {"kind": "python:3", "code": ECHO}} if method == "PUT" else None
        assert whisk.request(method, "actions/no_package/act", json=body).status_code == 404


def test_list_pages_and_counts(start):
    whisk = start()
    for name in ("a", "b", "c"):
        put_package(whisk, name)
    bind(whisk, "d", "a")
    put_package(whisk, "b", overwrite=True)
    listed = whisk.request("GET", "packages").json()
    assert [package["name"] for package in listed] == ["b", "d", "c", "a"], "the last updated first"
    assert [package["binding"] for package in listed] == [False, {"namespace": "guest", "name": "a"}, False, False]
    assert "parameters" not in listed[0]
    page = whisk.request("GET", "packages", params={"limit": 2, "skip": 1}).json()
    assert [package["name"] for package in page] == ["d", "c"]
    assert whisk.request("GET", "packages", params={"count": "true"}).json() == {"packages": 4}


def test_another_namespace_shows_its_shared_packages_of_which_there_are_none(whisk):
    put_package(whisk, "own")
    elsewhere = f"{whisk.api}/namespaces/whisk.system/packages"
    assert whisk.session.get(elsewhere, timeout=10).json() == []
    assert whisk.session.get(f"{elsewhere}/own", timeout=10).status_code == 403
