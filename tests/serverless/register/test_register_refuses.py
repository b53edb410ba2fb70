"""What the register refuses: secrets above all, and databases that are not its own."""

import sqlite3

import pytest

from serverless.register.clients import RegisterError, open_register
from serverless.register.database import CLIENTS


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("register.sqlite", "the register's URL cannot be read"),
        ("mysql://host/db", "cannot be kept in mysql: allowed are sqlite, postgresql"),
        ("postgresql://keeper:hunter2@host/db", "contains a password"),
        ("sqlite:////nowhere/at/all/register.sqlite", "cannot open the register in sqlite:"),
    ],
)
def test_a_database_that_cannot_be_used_is_told(url, words):
    with pytest.raises(RegisterError, match=words) as told, open_register(url, "run"):
        pass
    assert "hunter2" not in str(told.value)


def test_a_password_that_is_not_there_is_told_by_its_variable(monkeypatch):
    monkeypatch.delenv("NO_SUCH_PASSWORD", raising=False)
    with (
        pytest.raises(RegisterError, match="NO_SUCH_PASSWORD"),
        open_register("postgresql://keeper@127.0.0.1/db", "run", "NO_SUCH_PASSWORD"),
    ):
        pass


def test_a_wrong_password_is_told_and_not_shown(postgres_server, monkeypatch):
    monkeypatch.setenv("WRONG_PASSWORD", "hunter2")
    with (
        pytest.raises(RegisterError, match=r"cannot open the register in postgresql.*authentication") as told,
        open_register(postgres_server.url, "run", "WRONG_PASSWORD"),
    ):
        pass
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("columns", ["id integer", "{ours}, platform text not null"])
def test_another_table_of_that_name_is_refused(tmp_path, columns):
    ours = ", ".join(column.name for column in CLIENTS.columns)
    connection = sqlite3.connect(tmp_path / "other.sqlite")
    connection.execute(f"create table fl_clients ({columns.format(ours=ours)})")
    connection.close()
    url = f"sqlite:///{tmp_path}/other.sqlite"
    with pytest.raises(RegisterError, match="in place of attempt, client_id"), open_register(url, "run"):
        pass
