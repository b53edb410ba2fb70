"""The database behind the register: SQLite in a file, or a PostgreSQL server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    URL,
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    make_url,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

DIALECTS = ("sqlite", "postgresql")
_BUSY_S = 60.0  # SQLite allows one writer at a time; the others wait so long for their turn

METADATA = MetaData()
CLIENTS = Table(
    "fl_clients",
    METADATA,
    Column("federation", String(200), primary_key=True),
    Column("client_id", Integer, primary_key=True, autoincrement=False),
    # the last activation
    Column("state", String(20), nullable=False),
    Column("server_round", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("submitted_at", Float(53)),
    Column("report", Text),
)


class RegisterError(RuntimeError):
    """The register cannot be opened or used, or was asked for something impossible."""


@dataclass(frozen=True)
class RegisterSettings:
    """Where the register is kept.

    Parameters
    ----------
    url
        ``sqlite:///PATH`` or ``postgresql://USER@HOST/DATABASE``, without a password; ``None`` is an SQLite file in the
        run's own folder.
    password_env
        Name of the environment variable with the database's password; ``None`` where it takes none.
    """

    url: str | None = None
    password_env: str | None = None


def database_url(text: str, password_env: str | None = None) -> URL:
    """Return the address of a register's database; the password, if it takes one, comes from the environment.

    Raises
    ------
    RegisterError
        If ``text`` is not a URL, names a database that is not supported or contains a password, or if the variable that
        ``password_env`` names is not set.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise RegisterError(
            "the register's URL cannot be read: write sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE"
        ) from error
    if url.get_backend_name() not in DIALECTS:
        raise RegisterError(f"the register cannot be kept in {url.get_backend_name()}: allowed are sqlite, postgresql")
    if url.password is not None:
        raise RegisterError(
            "the register's URL contains a password, which would end up in the tables: leave it out, and put it into "
            "an environment variable that register.password_env names"
        )
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if password_env is not None:
        password = os.environ.get(password_env)
        if not password:
            raise RegisterError(
                f"the environment variable {password_env}, which must contain the register's password, is empty"
            )
        url = url.set(password=password)
    return url


def open_engine(url: URL) -> Engine:
    """Connect, and create the table if it does not exist; several processes may do so at once.

    Raises
    ------
    RegisterError
        If the database cannot be reached, or has a table of that name with other columns.
    """
    is_sqlite = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"connect_args": {"timeout": _BUSY_S}} if is_sqlite else {"pool_pre_ping": True}
    with explained("open the register", url):
        try:
            engine = create_engine(url, **options)
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise RegisterError(
                f"the driver for {url.get_backend_name()} is missing: pip install 'serverless-fl-bench[postgres]'"
            ) from error
        if is_sqlite:
            event.listen(engine, "connect", _set_up_sqlite)
        try:
            METADATA.create_all(engine)
        except SQLAlchemyError:  # another process created it in the meantime
            METADATA.create_all(engine)
        _check_columns(engine, url)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    """Let readers work beside a writer; a commit survives the end of the process, but perhaps not of the machine."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _check_columns(engine: Engine, url: URL) -> None:
    found = {column["name"] for column in inspect(engine).get_columns(CLIENTS.name)}
    expected = {column.name for column in CLIENTS.columns}
    if found != expected:
        raise RegisterError(
            f"the table {CLIENTS.name} in {shown(url)} has the columns {', '.join(sorted(found))} in place of "
            f"{', '.join(sorted(expected))}: another project made it, or another version of this one. Name another "
            "database, or drop the table"
        )


@contextmanager
def explained(doing: str, url: URL) -> Iterator[None]:
    """Turn an error of the database into a :class:`RegisterError` that shows no password."""
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise RegisterError(f"cannot {doing} in {shown(url)}: {reason}") from error


def shown(url: URL) -> str:
    """Return the address without its password."""
    return url.render_as_string(hide_password=True)
