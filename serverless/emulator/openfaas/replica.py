"""The container of an OpenFaaS function."""

from __future__ import annotations

import os
import socket
import sys

from serverless.emulator.containers.http_container import Reply, ServiceContainer


class WatchdogContainer(ServiceContainer):
    """A replica of an OpenFaaS function: the watchdog, and the function's process that it starts."""

    def _command(self, listening_fd: int) -> tuple[object, ...]:
        return sys.executable, "-P", "-m", "serverless.emulator.openfaas.watchdog", listening_fd, os.getpid()

    def _environment(self) -> dict[str, str]:
        with socket.create_server(("127.0.0.1", 0)) as free:  # taken again by the function a moment later
            upstream = f"http://127.0.0.1:{free.getsockname()[1]}"
        image = {
            "mode": "http",
            "fprocess": f"python {self.service.source / '__main__.py'}",
            "http_upstream_url": upstream,
        }
        return image | super()._environment()

    def outlives(self, reply: Reply) -> bool:
        """See :meth:`ServiceContainer.outlives`: a watchdog whose function has ended says so, and then ends as well."""
        return not (reply.status == 500 and "X-OpenFaaS-Internal" in reply.headers)
