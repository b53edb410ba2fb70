"""The register of clients, with the last request to each.

It outlives the keeper: one that starts again reads here which activations were in flight, and which had ended.

A client's activations are numbered by (round, attempt), and the register only ever moves forward in them. Each change
is one SQL statement that also states its precondition. Of several threads or processes exactly one makes the
change, and a late answer cannot overwrite a newer request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Literal

from sqlalchemy import URL, ColumnElement, Engine, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from serverless.register.database import CLIENTS, RegisterError, database_url, explained, open_engine

__all__ = ["Activation", "Register", "RegisterError", "open_register"]

State = Literal["idle", "in_flight", "finished", "failed"]


@dataclass(frozen=True)
class Activation:
    """The last request to a client.

    Parameters
    ----------
    state
        ``idle`` (never asked), ``in_flight``, ``finished`` or ``failed``.
    server_round, attempt
        Both counted from 1; 0 while idle.
    submitted_at
        When it was sent, seconds since the epoch by the keeper's clock.
    report
        What the keeper noted for a keeper that starts again.
    """

    client_id: int
    state: State
    server_round: int
    attempt: int
    submitted_at: float | None = None
    report: str | None = None


@dataclass(frozen=True)
class Register:
    """The clients of one federation; safe to use from several threads and processes at once.

    Every method raises :class:`RegisterError` if the database fails.
    """

    engine: Engine
    url: URL
    federation: str

    def enrol(self, clients: Iterable[int]) -> None:
        """Put clients, by their ids, into the register; those that are there keep their activations."""
        idle = {"federation": self.federation, "state": "idle", "server_round": 0, "attempt": 0}
        rows = [{**idle, "client_id": client_id} for client_id in clients]
        if not rows:
            return
        dialect = sqlite if self.url.get_backend_name() == "sqlite" else postgresql
        with explained("enrol clients", self.url), self.engine.begin() as connection:
            connection.execute(dialect.insert(CLIENTS).on_conflict_do_nothing(), rows)

    def activations(self, server_round: int | None = None) -> dict[int, Activation]:
        """Return the last activation of each client, or only those that belong to ``server_round``."""
        found = self._found() if server_round is None else self._found(CLIENTS.c.server_round == server_round)
        return {activation.client_id: activation for activation in found}

    def begin(
        self, client_id: int, server_round: int, attempt: int, submitted_at: float, report: str | None = None
    ) -> bool:
        """Note that an attempt is about to be sent; to be called before it is.

        Parameters
        ----------
        report
            What a keeper that starts again must know, such as the attempts before this one.

        Returns
        -------
        bool
            False if this attempt or a later one was begun already, by any process: then it must not be sent.

        Raises
        ------
        RegisterError
            If there is no such client.
        """
        earlier = or_(
            CLIENTS.c.server_round < server_round,
            and_(CLIENTS.c.server_round == server_round, CLIENTS.c.attempt < attempt),
        )
        new = {"server_round": server_round, "attempt": attempt, "submitted_at": submitted_at, "state": "in_flight"}
        begun = self._change(client_id, earlier, {**new, "report": report})
        if not begun and not self._found(CLIENTS.c.client_id == client_id):
            raise RegisterError(f"client {client_id} is not in the register of {self.federation}: enrol it first")
        return begun

    def ended(
        self,
        client_id: int,
        server_round: int,
        attempt: int,
        state: Literal["finished", "failed"],
        report: str | None = None,
    ) -> bool:
        """Note the end of an attempt in flight; False if that attempt no longer is, and then nothing is changed."""
        in_flight = and_(
            CLIENTS.c.state == "in_flight", CLIENTS.c.server_round == server_round, CLIENTS.c.attempt == attempt
        )
        return self._change(client_id, in_flight, {"state": state, "report": report})

    def forget(self) -> None:
        """Remove the federation: its run is over."""
        with explained("forget the clients", self.url), self.engine.begin() as connection:
            connection.execute(delete(CLIENTS).where(CLIENTS.c.federation == self.federation))

    def _change(self, client_id: int, condition: ColumnElement[bool], values: dict[str, Any]) -> bool:
        mine = (CLIENTS.c.federation == self.federation) & (CLIENTS.c.client_id == client_id)
        with explained(f"note what client {client_id} does", self.url), self.engine.begin() as connection:
            return connection.execute(update(CLIENTS).where(mine, condition).values(values)).rowcount == 1

    def _found(self, *conditions: ColumnElement[bool]) -> list[Activation]:
        columns = [CLIENTS.c[column.name] for column in fields(Activation)]
        query = select(*columns).where(CLIENTS.c.federation == self.federation, *conditions)
        with explained("read", self.url), self.engine.connect() as connection:
            return [Activation(*row) for row in connection.execute(query.order_by(CLIENTS.c.client_id))]


@contextmanager
def open_register(url: str, federation: str, password_env: str | None = None) -> Iterator[Register]:
    """Open the register of one federation for the time of the context.

    Parameters
    ----------
    url
        ``sqlite:///PATH`` or ``postgresql+psycopg://USER@HOST/DATABASE``, without a password.
    federation
        Whose clients; several federations share a database. A run uses its id.
    password_env
        Name of the environment variable with the database's password.

    Raises
    ------
    RegisterError
        If it cannot be opened.
    """
    address = database_url(url, password_env)
    engine = open_engine(address)
    try:
        yield Register(engine, address, federation)
    finally:
        engine.dispose()
