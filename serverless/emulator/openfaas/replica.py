"""The container of an OpenFaaS function."""

from __future__ import annotations

import os
import sys

from machine.loopback import HOST, reserved_port
from serverless.emulator.containers.http_container import Reply, ServiceContainer


class WatchdogContainer(ServiceContainer):
    """A replica of an OpenFaaS function: the watchdog, and the function's process that it starts."""

    def _command(self, listening_fd: int) -> tuple[object, ...]:
        return sys.executable, "-P", "-m", "serverless.emulator.openfaas.watchdog", listening_fd, os.getpid()

    def _environment(self) -> dict[str, str]:
        image = {
            "mode": "http",
            "fprocess": f"python {self.service.source / '__main__.py'}",
            "http_upstream_url": f"http://{HOST}:{reserved_port()}",
        }
        return image | super()._environment()

    def outlives(self, reply: Reply) -> bool:
        """See :meth:`ServiceContainer.outlives`: a watchdog whose function has ended says so, and then ends as well."""
        return not (reply.status == 500 and "X-OpenFaaS-Internal" in reply.headers)
