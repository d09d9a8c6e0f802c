"""A Postgres server for the tests of stores. They are skipped where there is none; in CI they fail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.postgres import NoPostgres, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests. Make a database of your own in it."""
    try:
        server = PostgresServer().__enter__()
    except NoPostgres as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.__exit__()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The address of a database that is empty and the test's own. It goes with the server."""
    return postgres.new_database()
