"""The container of a Google Cloud Function."""

from __future__ import annotations

import os
import sys

from serverless.emulator.containers.http_container import ServiceContainer


class FrameworkContainer(ServiceContainer):
    """An instance of a Google Cloud Function: Google's functions-framework, behind a guard."""

    def _command(self, listening_fd: int) -> tuple[object, ...]:
        program = "serverless.emulator.google.framework"
        # isolated: the PYTHONPATH, in which the function's own package `serverless` is, is for what it starts
        return sys.executable, "-I", "-m", program, self._host.settings.python, listening_fd, os.getpid()

    def _environment(self) -> dict[str, str]:
        service = self.service
        # Cloud Run's container contract, and what the buildpack sets for the framework
        platform = {
            "PORT": "8080",  # the socket is handed down instead
            "K_SERVICE": service.name,
            "K_CONFIGURATION": service.name,
            "K_REVISION": f"{service.name}-{service.revision:05d}",
            "CLOUD_RUN_TIMEOUT_SECONDS": str(round(service.timeout_s)),
            "FUNCTION_SIGNATURE_TYPE": "http",
            "FUNCTION_SOURCE": str(service.source / "main.py"),
            "PYTHONPATH": str(service.source),
        }
        return super()._environment() | platform
