"""The APIs that an embedded server can serve: one per platform, all with the one pool of containers."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from serverless.emulator.google.api import google_api
from serverless.emulator.openfaas.gateway import openfaas_api
from serverless.emulator.openwhisk.api.app import openwhisk_api
from serverless.emulator.shared import Shared

APIS: dict[str, Callable[[Shared, str], web.Application]] = {  # from what APIs share, and the API's own address
    "openwhisk": openwhisk_api,
    "openfaas": openfaas_api,
    "google": google_api,
}
