"""The private Postgres server of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

import tests.postgres
from tests.postgres import running_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import PostgresServer


def setting(url: str, name: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("select current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


def test_every_test_has_a_database_of_its_own(postgres: PostgresServer, postgres_url: str) -> None:
    other = postgres.new_database()
    with psycopg.connect(postgres_url) as connection:
        connection.execute("create table made (id int)")
    with psycopg.connect(other) as connection:
        assert connection.execute("select to_regclass('made')").fetchone() == (None,)


def test_it_syncs_its_writes(postgres_url: str) -> None:
    assert setting(postgres_url, "fsync") == "on"
    assert setting(postgres_url, "synchronous_commit") == "on"


def test_it_listens_on_no_port(postgres_url: str) -> None:
    assert not setting(postgres_url, "listen_addresses")


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_machine_without_a_server_skips_with_the_reason_and_in_ci_fails(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Path:
        message = "there is no Postgres server on this machine"
        raise tests.postgres.NoPostgres(message)

    monkeypatch.setattr(tests.postgres, "find_programs", none)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="there is no Postgres server"):
        next(running_server())
