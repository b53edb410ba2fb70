"""The register: who the clients are, where they run, and what each of them was last asked to do.

It outlives the keeper: one that starts again reads here which activations were in flight, and which had ended.

A client's activations are numbered by (round, attempt), and the register only ever moves forward in them. Each change
is one statement that also states what must hold before it, so that of several threads or processes exactly one makes
it, and an answer that comes late cannot overwrite what was asked since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from sqlalchemy import URL, ColumnElement, Engine, Row, and_, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from machine.credentials import is_variable
from serverless.register.database import CLIENTS, RegisterError, database_url, explained, open_engine

__all__ = ["Activation", "Client", "Register", "RegisterError", "open_register"]

State = Literal["idle", "in_flight", "finished", "failed"]


@dataclass(frozen=True)
class Client:
    """Where a client is, and how it is reached.

    Parameters
    ----------
    group
        The fabric's group that it belongs to.
    platform, function
        Where its function is deployed, and under which name.
    invocation_url
        Where it is invoked; without user, password and query, because the register holds no secret.
    credential_env
        *Name* of the environment variable that holds the platform's credential; ``None`` where it takes none.
    data_key
        Its images in the object store.
    """

    client_id: int
    group: str
    platform: str
    function: str
    invocation_url: str
    data_key: str
    credential_env: str | None = None

    def __post_init__(self) -> None:
        if self.client_id < 0:
            raise RegisterError(f"client {self.client_id}: ids are 0 or more")
        if self.credential_env is not None and not is_variable(self.credential_env):
            # not shown: it may be the credential itself
            raise RegisterError(
                f"client {self.client_id}: credential_env is not the name of an environment variable (capitals, "
                "digits, _); the credential itself belongs into that variable, never into the register"
            )
        url = urlsplit(self.invocation_url)
        if url.scheme not in ("http", "https") or "@" in url.netloc or url.query:
            raise RegisterError(
                f"client {self.client_id}: its invocation URL must begin with http:// or https:// and hold no user, "
                "password or query, which may be secrets"
            )


@dataclass(frozen=True)
class Activation:
    """The last that a client was asked to do.

    Parameters
    ----------
    state
        ``idle`` (never asked), ``in_flight``, ``finished`` or ``failed``.
    server_round, attempt
        Both counted from 1; 0 while idle.
    activation_id
        The platform's name for it, once it is known.
    submitted_at
        When it was sent, seconds since the epoch by the keeper's clock.
    report
        What the keeper left with its end, to be read by a keeper that starts again.
    """

    client_id: int
    state: State
    server_round: int
    attempt: int
    activation_id: str | None = None
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

    def enrol(self, clients: Iterable[Client]) -> None:
        """Put clients into the register; those that are there are brought up to date, and keep their activations."""
        rows = [self._row(client) for client in clients]
        if not rows:
            return
        dialect = sqlite if self.url.get_backend_name() == "sqlite" else postgresql
        statement = dialect.insert(CLIENTS)
        fresh = {name: statement.excluded[name] for name in rows[0] if name not in _FIRST_ONLY}
        with explained("enrol clients", self.url), self.engine.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=["federation", "client_id"], set_=fresh), rows
            )

    def clients(self) -> tuple[Client, ...]:
        """Return all clients, by id."""
        return tuple(_client(row) for row in self._rows())

    def activations(self, server_round: int | None = None) -> dict[int, Activation]:
        """Return the last activation of each client, or only those that belong to ``server_round``."""
        rows = self._rows() if server_round is None else self._rows(CLIENTS.c.server_round == server_round)
        return {row.client_id: _activation(row) for row in rows}

    def begin(
        self, client_id: int, server_round: int, attempt: int, submitted_at: float, report: str | None = None
    ) -> bool:
        """Note that an attempt is about to be sent; to be called before it is.

        Parameters
        ----------
        report
            What a keeper that starts again should know in any case, such as the attempts before this one.

        Returns
        -------
        bool
            False if this attempt or a later one was begun already, by whomever: it must then not be sent.

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
        begun = self._change(client_id, earlier, {**new, "activation_id": None, "report": report})
        if not begun and not self._rows(CLIENTS.c.client_id == client_id):
            raise RegisterError(f"client {client_id} is not in the register of {self.federation}: enrol it first")
        return begun

    def accepted(self, client_id: int, server_round: int, attempt: int, activation_id: str) -> bool:
        """Note the platform's name for an attempt in flight; False if that attempt no longer is."""
        return self._change(client_id, _in_flight(server_round, attempt), {"activation_id": activation_id})

    def ended(
        self,
        client_id: int,
        server_round: int,
        attempt: int,
        state: Literal["finished", "failed"],
        *,
        activation_id: str | None = None,
        report: str | None = None,
    ) -> bool:
        """Note the end of an attempt in flight; False if that attempt no longer is, and then nothing is changed."""
        end = {"state": state, "report": report, "activation_id": func.coalesce(activation_id, CLIENTS.c.activation_id)}
        return self._change(client_id, _in_flight(server_round, attempt), end)

    def forget(self) -> None:
        """Remove the federation: its run is over."""
        with explained("forget the clients", self.url), self.engine.begin() as connection:
            connection.execute(delete(CLIENTS).where(CLIENTS.c.federation == self.federation))

    def _change(self, client_id: int, condition: ColumnElement[bool], values: dict[str, Any]) -> bool:
        mine = (CLIENTS.c.federation == self.federation) & (CLIENTS.c.client_id == client_id)
        with explained(f"note what client {client_id} does", self.url), self.engine.begin() as connection:
            return connection.execute(update(CLIENTS).where(mine, condition).values(values)).rowcount == 1

    def _rows(self, *conditions: ColumnElement[bool]) -> list[Row[Any]]:
        query = select(CLIENTS).where(CLIENTS.c.federation == self.federation, *conditions)
        with explained("read", self.url), self.engine.connect() as connection:
            return list(connection.execute(query.order_by(CLIENTS.c.client_id)))

    def _row(self, client: Client) -> dict[str, Any]:
        values = asdict(client)
        values["fabric_group"] = values.pop("group")
        return {"federation": self.federation, **values, "state": "idle", "server_round": 0, "attempt": 0}


_FIRST_ONLY = ("federation", "client_id", "state", "server_round", "attempt")


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


def _in_flight(server_round: int, attempt: int) -> ColumnElement[bool]:
    return and_(CLIENTS.c.state == "in_flight", CLIENTS.c.server_round == server_round, CLIENTS.c.attempt == attempt)


def _client(row: Row[Any]) -> Client:
    return Client(
        client_id=row.client_id,
        group=row.fabric_group,
        platform=row.platform,
        function=row.function,
        invocation_url=row.invocation_url,
        data_key=row.data_key,
        credential_env=row.credential_env,
    )


def _activation(row: Row[Any]) -> Activation:
    return Activation(
        client_id=row.client_id,
        state=row.state,
        server_round=row.server_round,
        attempt=row.attempt,
        activation_id=row.activation_id,
        submitted_at=row.submitted_at,
        report=row.report,
    )
