"""OpenWhisk's messages, word by word: some of its clients compare them."""

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


def reserved_package(name: str) -> str:
    """400: a package that cannot be made."""
    return f"Package name '{name}' is reserved."


def package_not_empty(count: int) -> str:
    """409: a package that is deleted without force."""
    entities = "entity" if count == 1 else "entities"
    return f"Package not empty (contains {count} {entities}). Set force param or delete package contents."


def too_many_instances(allowed: int) -> str:
    """400: more instances of an action than activations of the namespace."""
    return f"Max action instance concurrency must not exceed your namespace concurrency of {allowed}."


def unknown_kind(kind: str, kinds: tuple[str, ...]) -> str:
    """400: a runtime that this platform does not have."""
    valid = "', '".join(kinds)
    return f"The specified runtime '{kind}' is not supported by this platform. Valid values are: '{valid}'."


def name_too_long(length: int, allowed: int) -> str:
    """400: an entity name above its limit."""
    return f"Name segement longer than allowed: {length} > {allowed}."


def activation_id_length(length: int) -> str:
    """400: an activation id that is not 32 characters."""
    return f"Activation id length is {length} but must be 32."


def too_big(what: str, size: int, allowed: int) -> str:
    """413: ``size`` and ``allowed`` in bytes."""
    return f"{what} larger than allowed: {size} > {allowed} bytes."


def outside_threshold(what: str, value: int, unit: str, threshold: int) -> str:
    """400: a limit of an action outside its range; ``unit`` has its leading space."""
    relation = "exceeds" if value > threshold else "below"
    return f"{what} {value}{unit} {relation} allowed threshold of {threshold}{unit}"


def too_many_requests(count: int, allowed: int) -> str:
    """429: the minute is full."""
    return f"Too many requests in the last minute (count: {count}, allowed: {allowed})."


def too_many_concurrent(count: int, allowed: int) -> str:
    """429: too much is queued or running."""
    return f"Too many concurrent requests in flight (count: {count}, allowed: {allowed})."


def not_an_integer(value: str, collection: str) -> str:
    """400: ``limit`` or ``skip`` is not a number."""
    return f"The value '{value}' is not an integer for {collection}."


def limit_out_of_range(value: int, collection: str, maximum: int) -> str:
    """400: ``limit`` of a list."""
    return f"The value '{value}' is not in the range of 0 to {maximum} for {collection}."


def skip_out_of_range(value: int, collection: str) -> str:
    """400: ``skip`` of a list."""
    return f"The value '{value}' is not greater than or equal to 0 for {collection}."


def bad_epoch(value: str) -> str:
    """400: ``since`` or ``upto``."""
    return f"Parameter is not a valid value for epoch seconds: {value}"


def bad_name_filter(value: str) -> str:
    """400: ``name`` of an activation list."""
    return f"Parameter may be a 'simple' name or 'package-name/simple' name: {value}"


def invalid_timeout(maximum_ms: int) -> str:
    """400: ``timeout`` of a blocking call."""
    return f"Timeout must be number of milliseconds up to {maximum_ms}."


def invalid_init_response(answer: str) -> str:
    """An initialisation that failed without saying why in an ``error`` field."""
    return "The action failed during initialization" + (f": {answer}" if answer else ".")


def invalid_run_response(answer: str) -> str:
    """A run whose answer is not a JSON object or array."""
    return "The action did not produce a valid JSON or JSON Array response" + (f": {answer}" if answer else ".")


def truncated_response(kept: str, length: int, allowed: int) -> str:
    """A result above its limit; sizes in bytes."""
    return (
        f"The action produced a response that exceeded the allowed length: {length} > {allowed} bytes. "
        f"The truncated response was: {kept}"
    )


def timed_out(timeout_ms: int, *, during_init: bool) -> str:
    """An action above its time limit."""
    end = " during initialization." if during_init else "."
    return f"The action exceeded its time limits of {timeout_ms} milliseconds{end}"
