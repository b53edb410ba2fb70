"""The actions and packages of the namespace, and the parameters that an action inherits from its package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from serverless.emulator.openwhisk import messages
from serverless.emulator.openwhisk.entities import Action, Package
from serverless.emulator.openwhisk.put_requests import put_action, put_package
from serverless.emulator.rest import ApiError
from serverless.emulator.settings import EmulatorSettings

_Entity = TypeVar("_Entity")
_RESERVED = frozenset({"default"})


@dataclass(frozen=True)
class Resolved:
    """An action as it is seen at a path.

    Parameters
    ----------
    action
        With the parameters of its package, then its binding's, then its own merged over each other.
    binding
        The binding that the path goes through, if any.
    """

    action: Action
    binding: str | None


class Catalogue:
    """Everything that was put, by path; actions and packages share their names.

    Parameters
    ----------
    settings
        Limits.
    """

    def __init__(self, settings: EmulatorSettings) -> None:
        self._settings = settings
        self._actions: dict[str, Action] = {}  # the last put comes last
        self._packages: dict[str, Package] = {}

    def put_action(self, path: str, body: Mapping[str, Any], *, overwrite: bool) -> Action:
        """Create an action, or its next version.

        Raises
        ------
        ApiError
            404 if there is no such package; 400 if it is a binding; 409 if there is an action and ``overwrite`` is
            not set, or a package of the name; 400 and 413 as in
            :func:`~serverless.emulator.openwhisk.put_requests.put_action`.
        """
        self.check_owner(path)
        old = self._actions.get(path)
        action = put_action(path, body, old, self._settings)
        _check_free(path, self._packages, old, overwrite=overwrite)
        self._actions.pop(path, None)
        self._actions[path] = action
        return action

    def check_owner(self, path: str) -> None:
        """Check that what is to be changed at ``path`` belongs to no package, or to one that is no binding.

        Raises
        ------
        ApiError
            404, 409 or 400.
        """
        package = path.rpartition("/")[0]
        if package and self.package(package).binding is not None:
            raise ApiError(400, messages.NOT_ON_BINDING)

    def resolve(self, path: str) -> Resolved:
        """Return the action at ``path``, through a binding too.

        Raises
        ------
        ApiError
            404 if there is no such action or package, 409 if something else has the name.
        """
        package_name, _, name = path.rpartition("/")
        if not package_name:
            return Resolved(self._find(path, self._actions, self._packages), binding=None)
        asked = self.package(package_name)
        provider = self._provider(asked)
        action = self._find(f"{provider.name}/{name}", self._actions, {})
        parameters = {**provider.parameters, **asked.parameters, **action.parameters}
        return Resolved(replace(action, parameters=parameters), asked.name if asked.binding else None)

    def delete_action(self, path: str) -> Action:
        """Remove an action and return what it was; its activations run to their end.

        Raises
        ------
        ApiError
            404 if there is none, 400 if the path goes through a binding, 409 if a package has the name.
        """
        self.check_owner(path)
        action = self._find(path, self._actions, self._packages)
        del self._actions[path]
        return action

    def actions(self) -> list[Action]:
        """Return all actions, the last updated first."""
        return list(reversed(self._actions.values()))

    def actions_in(self, package: str) -> list[Action]:
        """Return the actions of a package or of what a binding is bound to, the last updated first.

        Raises
        ------
        ApiError
            404 if there is no such package, 409 if an action has the name.
        """
        provider = self._provider(self.package(package))
        return [action for action in self.actions() if action.path.rpartition("/")[0] == provider.name]

    def put_package(self, name: str, body: Mapping[str, Any], *, overwrite: bool) -> Package:
        """Create a package or a binding, or its next version.

        Raises
        ------
        ApiError
            400 for a reserved name, or a binding to nothing or to a binding; 409 if there is one and ``overwrite``
            is not set, if an action has the name, or if a package would become a binding; otherwise as in
            :func:`~serverless.emulator.openwhisk.put_requests.put_package`.
        """
        if name in _RESERVED:
            raise ApiError(400, f"Package name '{name}' is reserved.")
        old = self._packages.get(name)
        package = put_package(name, body, old, self._settings)
        if package.binding is not None:
            self._check_bindable(package.binding)
        _check_free(name, self._actions, old, overwrite=overwrite)
        if old and old.binding is None and package.binding is not None:
            raise ApiError(409, messages.PACKAGE_NO_BINDING)
        self._packages.pop(name, None)
        self._packages[name] = package
        return package

    def package(self, name: str) -> Package:
        """Return a package or a binding as it was put.

        Raises
        ------
        ApiError
            404 if there is none, 409 if an action has the name.
        """
        return self._find(name, self._packages, self._actions)

    def package_with_actions(self, name: str) -> dict[str, Any]:
        """Return a package with its actions; a binding with those of its package, and the parameters of both.

        Raises
        ------
        ApiError
            404 or 409 as in :meth:`package`.
        """
        package = self.package(name)
        merged = {**self._provider(package).parameters, **package.parameters}
        return replace(package, parameters=merged).with_actions(self.actions_in(name))

    def packages(self) -> list[Package]:
        """Return all packages and bindings, the last updated first."""
        return list(reversed(self._packages.values()))

    def delete_package(self, name: str, *, force: bool) -> Package:
        """Remove a package, and with ``force`` what is in it, and return what it was.

        Raises
        ------
        ApiError
            409 if there is something in it; 404 or 409 as in :meth:`package`.
        """
        package = self.package(name)
        contents = [] if package.binding else self.actions_in(name)
        if contents and not force:
            contained = f"{len(contents)} {'entity' if len(contents) == 1 else 'entities'}"
            raise ApiError(
                409, f"Package not empty (contains {contained}). Set force param or delete package contents."
            )
        for action in contents:
            del self._actions[action.path]
        del self._packages[name]
        return package

    def _provider(self, package: Package) -> Package:
        return package if package.binding is None else self.package(package.binding)

    def _check_bindable(self, name: str) -> None:
        if name in self._actions:
            raise ApiError(409, messages.BOUND_NO_PACKAGE)
        if name not in self._packages:
            raise ApiError(400, messages.NO_BOUND_PACKAGE)
        if self._packages[name].binding is not None:
            raise ApiError(400, messages.BINDING_OF_BINDING)

    @staticmethod
    def _find(path: str, entities: Mapping[str, _Entity], others: Mapping[str, object]) -> _Entity:
        if path in entities:
            return entities[path]
        raise ApiError(409, messages.NOT_A_PACKAGE_OR_ACTION) if path in others else ApiError(404, messages.NOT_FOUND)


def _check_free(path: str, others: Mapping[str, object], old: object, *, overwrite: bool) -> None:
    if path in others:
        raise ApiError(409, messages.NOT_A_PACKAGE_OR_ACTION)
    if old is not None and not overwrite:
        raise ApiError(409, messages.ALREADY_EXISTS)
