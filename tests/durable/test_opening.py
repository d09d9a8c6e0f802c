"""The option ``store``: which database it names, and what is wrong with it before any I/O."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflectClient, AsyncReflexioClient, ConfigurationError
from reflexio_async._engine.loops import LoopScope
from reflexio_async._engine.settings import Settings
from reflexio_async.durable.database import without_password
from reflexio_async.durable.opening import open_store, store_on
from reflexio_async.testing import VirtualClock

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://127.0.0.1:8061"


def settings(**options: Any) -> Settings:
    return Settings(base_url=URL, **options)


def error_of(**options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        AsyncReflexioClient(url_endpoint=URL, **options)
    with pytest.raises(ConfigurationError):
        AsyncReflectClient(base_url=URL, **options)
    return str(caught.value)


@pytest.mark.parametrize("store", ["", "  ", 5, b"store.db", True, "a\nb", ":memory:"], ids=repr)
def test_a_store_that_is_no_path_and_no_address_is_refused(store: object) -> None:
    assert error_of(store=store).startswith("store")


@pytest.mark.parametrize("kept", [0, -1, timedelta(0), "a week", None], ids=repr)
def test_the_retention_is_a_positive_duration(kept: object) -> None:
    assert error_of(store_retention=kept).startswith("store_retention")


def test_the_retention_is_seven_days_or_what_was_given() -> None:
    assert settings().retention_seconds == 7 * 86400
    assert settings(store_retention=60).retention_seconds == 60
    assert settings(store_retention=timedelta(hours=1)).retention_seconds == 3600


def test_an_address_of_another_database_is_refused_without_its_password() -> None:
    message = error_of(store="mysql://ana:secret-word@db/jobs")
    assert "postgresql://" in message
    assert "secret-word" not in message


@pytest.mark.parametrize("place", ["[::1", "h]"])
def test_an_address_with_a_broken_host_is_refused_without_its_password(place: str) -> None:
    text = error_of(store=f"postgresql://me:secret@{place}/db")
    assert "postgresql://user:password@host" in text
    assert "secret" not in text


@pytest.mark.parametrize("password", ["sec#ret", "sec?ret", "sec?re:t"])
def test_a_password_with_marks_of_addresses_is_not_shown(password: str) -> None:
    assert without_password(f"postgresql://me:{password}@host:9/db?a=b") == "postgresql://me@host:9/db"


@pytest.mark.parametrize("password", ["sec/ret", "sec@ret"])
def test_a_password_that_cannot_be_told_from_the_host_is_refused_unshown(password: str) -> None:
    text = error_of(store=f"postgresql://me:{password}@host/db")
    assert "write @ as %40 and / as %2F" in text
    assert "sec" not in text
    assert "ret" not in text


def test_without_the_extra_a_postgres_store_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    message = error_of(store="postgresql://ana:secret-word@db/jobs")
    assert "reflexio-async[cluster]" in message
    assert "secret-word" not in message


_BLOCKS_NOT = """
import asyncio
from blockbuster import blockbuster_ctx
from pydantic import TypeAdapter
from reflexio_async import AsyncReflexioClient, StoreError

async def main():
    client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:9", store="postgresql://me:pw@127.0.0.1:9/db")
    try:
        await client.__aenter__()
    except StoreError as error:
        print(error)
    await client.aclose()

TypeAdapter(int)
with blockbuster_ctx("reflexio_async"):
    asyncio.run(main())
"""


def test_loading_what_a_postgres_store_needs_does_not_block_the_event_loop() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BLOCKS_NOT], capture_output=True, text=True, check=False
    )  # ours
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot be used" in done.stdout


def test_the_store_is_not_shown_in_the_repr_of_the_settings() -> None:
    assert "secret-word" not in repr(settings(store="postgresql://ana:secret-word@db/jobs"))


def test_making_a_client_does_not_make_the_file(tmp_path: Path) -> None:
    AsyncReflexioClient(url_endpoint=URL, store=tmp_path / "store.db")
    assert list(tmp_path.iterdir()) == []


def test_clients_of_one_process_share_the_database_of_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = open_store(settings(store="store.db"))
    assert open_store(settings(store=tmp_path / "store.db")).database is one.database
    assert open_store(settings(store="other.db")).database is not one.database


def test_without_a_store_every_client_has_a_database_in_memory_of_its_own() -> None:
    assert open_store(settings()).database is not open_store(settings()).database


async def test_leases_are_measured_by_the_clients_clock(tmp_path: Path) -> None:
    clock = VirtualClock()
    store = open_store(settings(store=tmp_path / "store.db", clock=clock))
    await store.open()
    await clock.sleep(3600)
    assert await store.database.read("select {now}") == [(3600.0,)]
    await store.aclose()


async def test_a_client_has_one_store_on_its_loop_which_is_closed_with_it(tmp_path: Path) -> None:
    scope = LoopScope()
    options = settings(store=tmp_path / "store.db")
    store = await store_on(scope, options)
    assert await store_on(scope, options) is store
    await scope.aclose()
    other = open_store(options)
    assert other.database is store.database
    await other.open()  # it may be opened again
    await other.aclose()
