"""The private Postgres server of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
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
