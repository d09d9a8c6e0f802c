# ruff: noqa: ASYNC240  # small local files of the test
"""Which files a sandbox uses for its data, and which it refuses."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from reflexio_async.errors import ConfigurationError
from reflexio_async.sandbox import Sandbox
from reflexio_async.sandbox.storage.data_file import APPLICATION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.db"


async def test_a_file_in_use_by_another_sandbox_is_refused(file: Path) -> None:
    async with Sandbox(data=file) as box:
        with pytest.raises(ConfigurationError, match=r"sandbox\.db: in use by another running sandbox"):
            await Sandbox(data=file).start()
        box.seed("u")
        await box.settled()


async def test_a_file_that_is_no_database_is_refused_and_not_changed(file: Path) -> None:
    file.write_text("dear diary, " * 100)
    with pytest.raises(ConfigurationError, match="not a SQLite file"):
        await Sandbox(data=file).start()
    assert file.read_text() == "dear diary, " * 100


async def test_another_programs_database_is_refused_and_not_changed(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE rows (mine TEXT)")
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match="not one of a sandbox"):
        await Sandbox(data=file).start()
    assert file.read_bytes() == before


async def test_a_file_of_another_format_is_refused(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA application_id = {APPLICATION}")
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigurationError, match=r"format 99, this one reads 5"):
        await Sandbox(data=file).start()


async def test_an_unreadable_row_is_named(file: Path) -> None:
    async with Sandbox(data=file) as box:
        box.seed("u")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE rows SET document = '{}' WHERE kind = 'request'")
    with pytest.raises(ConfigurationError, match="a row of request cannot be read"):
        await Sandbox(data=file).start()


async def test_a_path_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "such.db"):
        with pytest.raises(ConfigurationError, match="cannot be"):
            await Sandbox(data=path).start()


async def test_an_empty_file_is_used(file: Path) -> None:
    file.touch()
    async with Sandbox(data=file) as box:
        box.seed("u")
    async with Sandbox(data=file) as box:
        assert len(box.stored_requests) == 1


async def test_a_file_can_be_used_again_after_a_start_that_failed(file: Path) -> None:
    async with Sandbox() as box:
        port = int(box.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            await Sandbox(data=file, port=port).start()
    async with Sandbox(data=file, port=port) as box:
        assert not box.stored_requests


def mode_of(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


@pytest.fixture
def no_umask() -> Iterator[None]:
    """Files would be readable by all users."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
async def test_only_the_owner_may_read_the_file_and_its_wal(file: Path) -> None:
    async with Sandbox(data=file) as box:
        box.seed("u")
        await box.settled()
        modes = {path.name: mode_of(path) for path in file.parent.iterdir()}
    assert modes == {"sandbox.db": "0o600", "sandbox.db-wal": "0o600"}


@pytest.mark.usefixtures("no_umask")
async def test_only_the_owner_may_read_a_file_that_is_created_again(file: Path) -> None:
    async with Sandbox(data=file):
        pass
    file.unlink()
    async with Sandbox(data=file):
        assert mode_of(file) == "0o600"


@pytest.mark.usefixtures("no_umask")
async def test_only_the_owner_may_read_the_file_after_a_restart_without_data(file: Path) -> None:
    async with Sandbox(data=file) as box:
        await box.restart(keep_data=False)
        assert mode_of(file) == "0o600"


@pytest.mark.usefixtures("no_umask")
async def test_only_the_owner_may_read_a_file_that_was_empty(file: Path) -> None:
    file.touch()
    async with Sandbox(data=file):
        assert mode_of(file) == "0o600"
