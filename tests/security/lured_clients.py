"""Every client of the project that asks a server of somebody else's: each is called with the address of one."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import aiohttp
import requests
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from baselines.flower.federation import answers_well
from serverless.cluster.api import ClusterUnavailable, KubernetesApi
from serverless.cluster.settings import ClusterSettings
from serverless.emulator.containers.container import Container
from serverless.emulator.containers.http_container import Reply, Request, ServiceContainer
from serverless.emulator.openfaas.queue import Queue
from serverless.emulator.settings import EmulatorSettings
from serverless.functions import transfer
from serverless.functions.openwhisk.call import call
from serverless.platforms.google.tokens import GoogleTokens
from serverless.platforms.http_api import Web
from serverless.platforms.protocol import PlatformError
from serverless.preflight.connection import ask as ask_once
from serverless.storage import MinioSettings, StoreError, open_store
from task.images.idx import DataError
from task.mnist import downloads

STORE_KEYS = {"MINIO_ACCESS_KEY": "access", "MINIO_SECRET_KEY": "the-secret-key"}
REFUSALS = (requests.RequestException, transfer.TransferError, StoreError, ClusterUnavailable, PlatformError, DataError)


def of_a_platform(url: str) -> None:
    Web("Toy", url, ("user", "password"), True, 0.5, "").send("POST", f"{url}/x", json={"secret": 1})


def of_preflight(url: str) -> None:
    ask_once("GET", f"{url}/x", None)


def of_functions(url: str) -> None:
    transfer.fetch(f"{url}/x?signature=1")


def of_functions_that_write(url: str) -> None:
    transfer.deliver(f"{url}/x?signature=1", b"update")


def of_an_invoker(url: str) -> None:
    deadline = str(int((time.time() + 5) * 1000))
    call({"__OW_API_HOST": url, "__OW_API_KEY": "user:password", "__OW_DEADLINE": deadline}, "client", {})


def of_the_store(url: str) -> None:
    settings = MinioSettings(endpoint=url.removeprefix("http://"), bucket="fl-test", retries=1, timeout_s=1)
    open_store(settings, "run", STORE_KEYS).put("x", b"weights")


def of_kubernetes(url: str) -> None:
    with TemporaryDirectory() as folder:
        config = Path(folder, "kubeconfig")
        parts = {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": "the-secret-token"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }
        config.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", **parts}))
        KubernetesApi(ClusterSettings(kubeconfig=config, timeout_s=0.5)).version()


def of_googles_tokens(url: str) -> None:
    """A service account's key names the address where its tokens are to be had."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {"type": "service_account", "project_id": "p", "client_email": "a@p", "private_key": pem}
    with TemporaryDirectory() as folder:
        file = Path(folder, "key.json")
        file.write_text(json.dumps(account | {"token_uri": f"{url}/token"}))
        with patch.dict(os.environ, {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}):
            GoogleTokens("GOOGLE_APPLICATION_CREDENTIALS").access()


def of_the_data_download(url: str) -> None:
    named = patch.object(downloads, "KERAS_URL", f"{url}/mnist.npz")
    with TemporaryDirectory() as empty, named, patch.dict(os.environ, {"KERAS_HOME": empty, "NO_PROXY": "127.0.0.1"}):
        downloads.from_keras()


def of_flowers_health(url: str) -> None:
    answers_well(f"{url}/health", verify=True)


def of_mlflow(url: str) -> None:
    from experiments.tracking import mlflow

    with patch.dict(os.environ, {"MLFLOW_TRACKING_URI": url}), suppress(Exception):
        mlflow.MlflowClient().create_experiment("secret")


def of_the_embedded_servers_queue(url: str) -> None:
    async def invoke(*_: Any) -> Reply:
        return Reply(200, {}, b"an answer")

    async def work() -> None:
        async with aiohttp.ClientSession() as http:
            queue = Queue(SimpleNamespace(invoke=invoke), http)
            await queue._work("client", Request("POST", "/", {"X-Call-Id": "1"}, b"", False), f"{url}/answer")

    asyncio.run(work())


def _container(kind: type[Container], url: str, http: aiohttp.ClientSession) -> Any:
    host = SimpleNamespace(http=http, settings=EmulatorSettings(), directory=Path("unused"))
    container = kind(host, SimpleNamespace(name="a"))
    container._url = url
    return container


def of_the_embedded_server(url: str) -> None:
    """A function can answer in the place of the program that runs it."""

    async def post() -> None:
        async with aiohttp.ClientSession() as http:
            await _container(Container, url, http).post("/run", {"value": "secret"}, 5)

    asyncio.run(post())


def of_the_embedded_servers_other_kind(url: str) -> None:
    async def send() -> None:
        async with aiohttp.ClientSession() as http:
            await _container(ServiceContainer, url, http).send(Request("POST", "/", {}, b"secret", False), 5)

    asyncio.run(send())


CLIENTS = [client for name, client in list(globals().items()) if name.startswith("of_") and client is not of_mlflow]
