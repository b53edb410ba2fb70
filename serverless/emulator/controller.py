"""Between the REST API and the invoker: the actions, who may invoke, and who waits for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from serverless.emulator import messages
from serverless.emulator.action import Action
from serverless.emulator.action_request import put_action
from serverless.emulator.activation import Activation, new_activation_id
from serverless.emulator.activation_store import ActivationStore
from serverless.emulator.errors import ApiError
from serverless.emulator.invocation import Invocation
from serverless.emulator.invoker import Invoker
from serverless.emulator.settings import EmulatorSettings
from serverless.emulator.throttle import Throttle


class Controller:
    """The state behind the API.

    Parameters
    ----------
    settings
        Limits.
    invoker
        Runs what is admitted.
    auth
        The key ``uuid:key`` that opens the API.
    """

    def __init__(self, settings: EmulatorSettings, invoker: Invoker, auth: str) -> None:
        self.settings = settings
        self.auth = auth
        self.activations = ActivationStore(settings.activations_kept)
        self.throttle = Throttle(settings.invocations_per_minute, settings.concurrent_invocations)
        self._invoker = invoker
        self._actions: dict[str, Action] = {}
        self._running: set[asyncio.Task[Activation]] = set()  # the loop itself holds tasks only weakly

    def put_action(self, path: str, body: Mapping[str, Any], *, overwrite: bool) -> Action:
        """Create an action, or its next version.

        Raises
        ------
        ApiError
            409 if there is one and ``overwrite`` is not set; 400 and 413 as in :func:`put_action`.
        """
        old = self._actions.get(path)
        action = put_action(path, body, old, self.settings)
        if old and not overwrite:
            raise ApiError(409, messages.ALREADY_EXISTS)
        self._actions[path] = action
        return action

    def action(self, path: str) -> Action:
        """Return an action.

        Raises
        ------
        ApiError
            404 if there is none.
        """
        if path not in self._actions:
            raise ApiError(404, messages.NOT_FOUND)
        return self._actions[path]

    def delete_action(self, path: str) -> Action:
        """Remove an action and return what it was; its activations run to their end.

        Raises
        ------
        ApiError
            404 if there is none.
        """
        action = self.action(path)
        del self._actions[path]
        return action

    def actions(self) -> list[Action]:
        """Return all actions, the last updated first."""
        return sorted(self._actions.values(), key=lambda action: action.revision, reverse=True)

    def invoke(self, path: str, payload: Mapping[str, Any], transaction_id: str) -> asyncio.Task[Activation]:
        """Start an activation; its task's name is the activation id.

        Raises
        ------
        ApiError
            404 if there is no such action; 400 if ``payload`` sets a parameter that is final.
        """
        action = self.action(path)
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
