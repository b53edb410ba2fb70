"""A function on each platform that tells what its own process can see, deployed by plain requests."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from typing import Any

import requests

from serverless.emulator.launcher import EmulatorHandle
from serverless.platforms.function_zip import package

PLATFORMS = ("openwhisk", "openfaas", "google")
_PEEP = """
import os, sys
from pathlib import Path
def peep(params):
    files = {name: Path("/proc/self", name).read_text(errors="replace") for name in ("environ", "cmdline")}
    return {**files, "variables": dict(os.environ), "stdin": sys.stdin.read() if not sys.stdin.closed else ""}
"""
_WRAPPERS = {
    "openwhisk": "\ndef main(args):\n    return peep(args)\n",
    "openfaas": "\nfrom serverless.functions.openfaas import server\nserver.serve(peep)\n",
    "google": "\ndef main(request):\n    return {**peep({}), 'headers': dict(request.headers)}\n",
}
_LOCATION = "v2/projects/p/locations/l"


@dataclass
class Peeper:
    """The function ``peeper`` of one platform; ``url`` calls it, with what ``session`` sends."""

    platform: str
    handle: EmulatorHandle
    session: requests.Session = field(default_factory=requests.Session)
    url: str = ""

    def __post_init__(self) -> None:
        api = self.handle.addresses[self.platform]
        code = _PEEP + _WRAPPERS[self.platform]
        if self.platform == "google":
            self.session.headers["Authorization"] = f"Bearer {self.handle.auth}"
        else:
            user, _, key = self.handle.auth.partition(":")
            self.session.auth = user, key
        getattr(self, f"_deploy_to_{self.platform}")(api, code)

    def call(self) -> dict[str, Any]:
        """Call it with the key."""
        answer = self.session.post(self.url, json={}, timeout=60)
        assert answer.ok, answer.text
        return dict(answer.json())

    def _deploy_to_openwhisk(self, api: str, code: str) -> None:
        action = f"{api}/api/v1/namespaces/_/actions/peeper"
        body = {"exec": {"kind": "python:3", "code": base64.b64encode(_zip("__main__.py", code)).decode()}}
        assert self.session.put(action, json=body | {"exec": body["exec"] | {"binary": True}}, timeout=30).ok
        self.url = f"{action}?blocking=true&result=true"

    def _deploy_to_openfaas(self, api: str, code: str) -> None:
        image = _zip("__main__.py", code)
        digest = hashlib.sha256(image).hexdigest()
        assert self.session.put(f"{api}/embedded/images/{digest}", data=image, timeout=30).ok
        variables = {"ready_path": "/ready", "max_inflight": "1"}
        deployment = {"service": "peeper", "image": f"embedded/{digest}", "envVars": variables}
        limits = {"limits": {"memory": "256Mi"}}
        assert self.session.post(f"{api}/system/functions", json=deployment | limits, timeout=30).ok
        self.url = f"{api}/function/peeper"

    def _deploy_to_google(self, api: str, code: str) -> None:
        given = self.session.post(f"{api}/{_LOCATION}/functions:generateUploadUrl", json={}, timeout=30).json()
        zipped = {"Content-Type": "application/zip"}
        assert requests.put(given["uploadUrl"], _zip("main.py", code), headers=zipped, timeout=30).ok
        built = {"entryPoint": "main", "source": {"storageSource": given["storageSource"]}}
        body = {"buildConfig": built, "serviceConfig": {"availableMemory": "256Mi"}}
        functions = f"{api}/{_LOCATION}/functions"
        assert self.session.post(f"{functions}?functionId=peeper", json=body, timeout=30).ok
        self.url = self.session.get(f"{functions}/peeper", timeout=30).json()["url"]


def _zip(entry: str, code: str) -> bytes:
    """Return the project's own package with ``code`` as its entry."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package("openwhisk/client"))) as ours, zipfile.ZipFile(buffer, "w") as archive:
        for kept in ours.infolist():
            if kept.filename != "__main__.py":
                archive.writestr(kept, ours.read(kept))
        archive.writestr(entry, code)
    return buffer.getvalue()
