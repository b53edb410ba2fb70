"""The controller, between the REST API and the invoker: admits invocations and keeps what the API shows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from serverless.emulator.openwhisk import messages
from serverless.emulator.openwhisk.activations import Activation, ActivationStore, new_activation_id
from serverless.emulator.openwhisk.catalogue import Catalogue
from serverless.emulator.openwhisk.invocation import Invocation
from serverless.emulator.openwhisk.invoker import Invoker
from serverless.emulator.openwhisk.throttle import Throttle
from serverless.emulator.rest import ApiError
from serverless.emulator.settings import EmulatorSettings


class Controller:
    """The state behind the API.

    Parameters
    ----------
    settings
        Limits.
    invoker
        Runs what is admitted.
    auth
        The key ``uuid:key`` of the API.
    """

    def __init__(self, settings: EmulatorSettings, invoker: Invoker, auth: str) -> None:
        self.settings = settings
        self.auth = auth
        self.catalogue = Catalogue(settings)
        self.activations = ActivationStore(settings.activations_kept)
        self.throttle = Throttle(settings.invocations_per_minute, settings.concurrent_invocations)
        self._invoker = invoker
        self._running: set[asyncio.Task[Activation]] = set()  # the event loop has only weak references to tasks

    def invoke(self, path: str, payload: Mapping[str, Any], transaction_id: str) -> asyncio.Task[Activation]:
        """Start an activation; its task's name is the activation id.

        Raises
        ------
        ApiError
            404 if there is no such action; 409 if it is something else; 400 if ``payload`` sets a final parameter.
        """
        resolved = self.catalogue.resolve(path)
        action = resolved.action
        if action.is_annotated("final"):
            fixed = {key for key, parameter in action.parameters.items() if parameter.value is not None}
            if fixed & payload.keys():
                raise ApiError(400, messages.FINAL_PARAMETERS)
        defaults = {key: parameter.value for key, parameter in action.parameters.items()}
        invocation = Invocation(
            activation_id=new_activation_id(),
            action=action,
            arguments=defaults | dict(payload),
            transaction_id=transaction_id,
            api_key=self.auth,
            binding=resolved.binding,
        )
        self.throttle.active += 1
        task = asyncio.create_task(self._run(invocation), name=invocation.activation_id)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _run(self, invocation: Invocation) -> Activation:
        try:
            record = await self._invoker.run(invocation)
            self.activations.add(record)
        finally:
            self.throttle.active -= 1
        return record
