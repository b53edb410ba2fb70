"""Reading the body of ``PUT .../packages/NAME`` into a :class:`~serverless.emulator.package.Package`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from serverless.emulator import messages
from serverless.emulator.action import NAMESPACE, Parameter
from serverless.emulator.errors import ApiError
from serverless.emulator.names import is_name
from serverless.emulator.package import BINDING, Package
from serverless.emulator.put_body import PutBody, malformed
from serverless.emulator.settings import EmulatorSettings


def put_package(name: str, body: Mapping[str, Any], old: Package | None, settings: EmulatorSettings) -> Package:
    """Return the package that a PUT leaves behind; what the body leaves out comes from the ``old`` version.

    Raises
    ------
    ApiError
        400 for a malformed body; 403 for a binding to another namespace's package; 413 for parameters or
        annotations above their size.
    """
    put = PutBody(body, settings)
    binding = _binding(put) or (old.binding if old else None)
    parameters, annotations = put.key_values("parameters"), put.key_values("annotations")
    shown = dict((old.annotations if old else {}) if annotations is None else annotations)
    shown.pop(BINDING, None)
    if binding is not None:
        shown[BINDING] = Parameter({"namespace": NAMESPACE, "name": binding})
    return Package(
        name=name,
        updated=time.time_ns() // 1_000_000,
        binding=binding,
        parameters=(old.parameters if old else {}) if parameters is None else parameters,
        annotations=shown,
        version=put.version(old.version if old else None),
        publish=put.field("publish", bool, old.publish if old else False),
    )


def _binding(put: PutBody) -> str | None:
    """Return the name of the package that the body binds to; an empty object binds to none."""
    fields = put.field(BINDING, dict, {})
    if not fields:
        return None
    namespace, name = (fields.get(key) for key in ("namespace", "name"))
    if not (isinstance(namespace, str) and isinstance(name, str) and is_name(namespace) and is_name(name)):
        raise malformed("entity name malformed")
    if namespace not in ("_", NAMESPACE):
        raise ApiError(403, messages.not_authorized(f"{namespace}/{name}"))
    return name
