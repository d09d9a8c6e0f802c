"""A Postgres server for the tests of stores. They are skipped where there is none; in CI they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.postgres import PostgresServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests. Make a database of your own in it."""
    yield from running_server()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The address of a database that is empty and the test's own. It goes with the server."""
    return postgres.new_database()
