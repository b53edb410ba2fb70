"""The served operations against OpenWhisk's own API description, with requests that schemathesis makes up."""

import json
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

DESCRIPTION = Path(__file__).with_name("api_description") / "apiv1swagger.json"
ECHO = {"exec": {"kind": "python:3", "code": "def main(args):\n    return args\n"}, "limits": {"memory": 128}}
NOT_SERVED = ("/web/", "/rules/", "/triggers/")

# Answers of the controller that the description leaves out.
MALFORMED = 400  # a query, a name or a body that cannot be read
ELSEWHERE = 403  # a namespace that is not the caller's
NO_PACKAGE = 404  # the package of a packaged action
OTHER_KIND = 409  # an action where a package is asked for, or the other way round
TOO_LARGE = 413
NOT_JSON = 415
MISSING_STATUSES = {
    "getAllActions": {MALFORMED, ELSEWHERE},
    "getActionByName": {MALFORMED, OTHER_KIND},
    "updateAction": {OTHER_KIND, NOT_JSON},
    "deleteAction": set(),
    "invokeAction": {MALFORMED, OTHER_KIND, TOO_LARGE, NOT_JSON},
    "getActionInPackageByName": {MALFORMED, OTHER_KIND},
    "updateActionInPackage": {NO_PACKAGE, NOT_JSON},
    "deleteActionInPackage": set(),
    "invokeActionInPackage": {MALFORMED, OTHER_KIND, TOO_LARGE, NOT_JSON},
    "getAllPackages": {MALFORMED},
    "getPackageByName": {MALFORMED},
    "updatePackage": {NOT_JSON},
    "deletePackage": {MALFORMED, ELSEWHERE},
    "getActivations": {MALFORMED, ELSEWHERE},
    "getActivationById": {MALFORMED, ELSEWHERE},
    "getActivationLogs": {MALFORMED, ELSEWHERE},
    "getActivationResult": {MALFORMED, ELSEWHERE},
    "getLimits": {ELSEWHERE},
    "getAllNamespaces": set(),
    "getAllRules": {MALFORMED, ELSEWHERE},
    "getAllTriggers": {MALFORMED, ELSEWHERE},
}
# Names that exist, that do not, and that cannot; made up ones would nearly all be of the last two sorts.
NAMES = {
    "namespace": ["_", "guest", "other"],
    "actionName": ["echo", "new", "absent", "package", "-"],
    "packageName": ["package", "binding", "new", "absent", "echo", "-"],
}


def corrected():
    """The description of what is served, with what it leaves out."""
    description = json.loads(DESCRIPTION.read_text("utf-8"))
    paths = description["paths"]
    description["paths"] = {path: paths[path] for path in paths if not any(part in path for part in NOT_SERVED)}
    definitions = description["definitions"]
    definitions["ActivationBrief"]["properties"]["statusCode"]["enum"].append(3)  # whisk internal error
    definitions["ActionExec"]["properties"]["kind"]["enum"].append("python:3")  # a runtime of the deployment
    for path in description["paths"].values():
        shared = path.get("parameters", [])
        for method, operation in path.items():
            if method == "parameters":
                continue
            for status in MISSING_STATUSES[operation["operationId"]]:
                operation["responses"].setdefault(str(status), {"$ref": "#/responses/BadRequest"})
            for parameter in [*shared, *operation.get("parameters", [])]:
                if parameter["in"] == "path" and parameter["name"] in NAMES:
                    parameter["enum"] = NAMES[parameter["name"]]
    return description


schema = schemathesis.openapi.from_dict(corrected())
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance, ignored_auth]


@pytest.fixture(scope="module")
def furnished(whisk):
    """A server with an action, a package with another one, and a binding."""
    furnish(whisk)
    return whisk


def furnish(whisk):
    for path, body in (
        ("actions/echo", ECHO),
        ("packages/package", {"parameters": [{"key": "a", "value": 1}]}),
        ("actions/package/echo", ECHO),
        ("packages/binding", {"binding": {"namespace": "_", "name": "package"}}),
    ):
        answer = whisk.request("PUT", path, params={"overwrite": "true"}, json=body)
        assert answer.status_code == 200, answer.text


def check(case, whisk):
    if case.method == "DELETE":
        furnish(whisk)
    # What a function makes of made-up arguments is the function's: an application error is 502 by the description.
    invokes = case.operation.definition.raw["operationId"].startswith("invoke")
    case.call_and_validate(
        base_url=whisk.api, auth=whisk.session.auth, checks=[*CHECKS, *([] if invokes else [not_a_server_error])]
    )


EVERY_TIME = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@schema.parametrize()
@settings(EVERY_TIME, max_examples=15)
def test_the_description_holds(case, furnished):
    check(case, furnished)


@pytest.mark.exhaustive
@schema.parametrize()
@settings(EVERY_TIME, max_examples=300)
def test_the_description_holds_for_long(case, furnished):
    check(case, furnished)


def test_every_served_operation_is_there():
    ids = {operation.ok().definition.raw["operationId"] for operation in schema.get_all_operations()}
    assert ids == set(MISSING_STATUSES)
