"""OpenWhisk's messages, word by word, because some of its clients compare them.

Here are those that are fixed, and those that several modules use; the others are where they are raised.
"""

from __future__ import annotations

# Refusals of a request.
NOT_FOUND = "The requested resource does not exist."
NO_ROUTE = "The requested resource could not be found."
ALREADY_EXISTS = "resource already exists"
NO_CREDENTIALS = "The resource requires authentication, which was not supplied with the request"
BAD_CREDENTIALS = "The supplied authentication is invalid"
NOT_JSON_CONTENT = "The request's Content-Type is not supported. Expected:\napplication/json"
FINAL_PARAMETERS = "Request defines parameters that are not allowed (e.g., reserved properties)."
EXEC_UNDEFINED = "exec undefined"
ILLEGAL_NAME = "The name of the entity contains illegal characters."
ILLEGAL_ACTIVATION_ID = "The activation id is not valid."
NOT_A_PACKAGE_OR_ACTION = "Resource by this name exists but is not in this collection."
NO_BOUND_PACKAGE = "Binding references a package that does not exist."
PACKAGE_NO_BINDING = "Resource is a package and cannot be converted into a binding."
BINDING_OF_BINDING = "Cannot bind to another package binding."
BOUND_NO_PACKAGE = "Cannot bind to a resource that is not a package."
NOT_ON_BINDING = "Operation not permitted on package binding."
TOO_FEW_INSTANCES = "Action container concurrency must be greater than or equal to 0."
DOCS_WITH_COUNT = "The parameter 'docs' is not permitted with 'count'."
REQUEST_TIMEOUT = "The request did not arrive in time."
INTERNAL = "There was an internal server error."

# Results of activations that failed.
ABNORMAL_INITIALIZATION = "The action did not initialize and exited unexpectedly."
ABNORMAL_RUN = "The action did not produce a valid response and exited unexpectedly."
MEMORY_EXHAUSTED = "The action exhausted its memory and was aborted."
NO_RESOURCES = "Failed to provision resources to run the action."


def not_authorized(resource: str) -> str:
    """403: a namespace or entity that is not the caller's."""
    return f"The supplied authentication is not authorized to access '{resource}'."


def malformed_content(reason: str) -> str:
    """400: a body that cannot be read."""
    return f"The request content was malformed:\n{reason}"


def malformed_query(name: str, reason: str) -> str:
    """400: a query parameter that cannot be read."""
    return f"The query parameter '{name}' was malformed:\n{reason}"


def too_big(what: str, size: int, allowed: int) -> str:
    """413: ``size`` and ``allowed`` in bytes."""
    return f"{what} larger than allowed: {size} > {allowed} bytes."


def invalid_run_response(answer: str) -> str:
    """A run whose answer is not a JSON object or array."""
    return "The action did not produce a valid JSON or JSON Array response" + (f": {answer}" if answer else ".")
