"""Asynchronous invocations of the embedded OpenFaaS: queued in memory, answered to ``X-Callback-Url``.

After openfaas/nats-queue-worker, whose queue is NATS and whose worker takes one request at a time by default; here
work on each request starts immediately.
"""

from __future__ import annotations

import asyncio
import logging
import time

import aiohttp

from serverless.emulator.containers.http_container import Reply, Request
from serverless.emulator.openfaas.functions import Functions
from serverless.emulator.rest import ApiError

log = logging.getLogger(__name__)
CALL_ID = "X-Call-Id"
_POST_WITHIN = aiohttp.ClientTimeout(total=60.0)


class Queue:
    """Requests whose callers do not wait for the answer.

    Parameters
    ----------
    functions
        Who answers.
    http
        The client that posts the answers back.
    """

    def __init__(self, functions: Functions, http: aiohttp.ClientSession) -> None:
        self._functions = functions
        self._http = http
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop has only weak references to tasks

    def accept(self, name: str, request: Request, callback: str) -> None:
        """Start to work on a request; its answer is posted to ``callback`` if there is one."""
        task = asyncio.create_task(self._work(name, request, callback))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Drop what is not answered yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, name: str, request: Request, callback: str) -> None:
        started_at = time.monotonic()
        try:
            answer = await self._functions.invoke(name, request)
        except ApiError as error:
            answer = Reply(error.status, {}, error.message.encode())
        if not callback:
            return
        headers = {
            **answer.headers,
            "X-Duration-Seconds": f"{time.monotonic() - started_at:f}",
            "X-Function-Status": str(answer.status),
            "X-Function-Name": name,
            CALL_ID: request.headers[CALL_ID],
        }
        try:
            async with self._http.post(
                callback, data=answer.body, headers=headers, timeout=_POST_WITHIN, allow_redirects=False
            ):
                pass
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("the answer of %s could not be posted back (%s)", name, type(error).__name__)
