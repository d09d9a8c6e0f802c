"""Which database the option ``store`` names. All clients of a process share the one of a path or address."""

from __future__ import annotations

import asyncio
import os
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakValueDictionary

from reflexio_async._engine.clock import clock_from
from reflexio_async.durable.database import NO_POSTGRES_URL, without_password
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.durable.sqlite_file import MEMORY
from reflexio_async.durable.store import Store
from reflexio_async.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async._engine.loops import LoopScope
    from reflexio_async._engine.settings import Settings
    from reflexio_async.durable.database import Database

_Key: TypeAlias = "tuple[str, Callable[[], float] | None]"

_POSTGRES = ("postgresql", "postgres")
_POSTGRES_MODULE = "reflexio_async.durable.postgres"
_CLUSTER = ("psycopg", "psycopg_pool", "procrastinate")  # the extra

_databases: WeakValueDictionary[_Key, Database] = WeakValueDictionary()
_lock = threading.Lock()


def check_store(settings: Settings) -> str:
    """Check the option ``store``, as far as that needs no I/O. Return its name for messages.

    Raises:
        ConfigurationError: It is an address, and it is unusable, or the extra ``cluster`` is not installed.
    """
    if settings.store is None:
        return MEMORY
    place = os.fspath(settings.store)
    if "://" not in place:
        return str(Path(place).absolute())
    scheme = place.partition("://")[0].lower()
    if scheme not in _POSTGRES:
        message = (
            f"store must be a path, or an address that begins with postgresql://, not with {scheme!r:.20}://"
        )
        raise ConfigurationError(message)
    missing = [name for name in _CLUSTER if find_spec(name) is None]
    if missing:
        advice = f"pip install 'reflexio-async[cluster]' (no {', '.join(missing)})"
        message = f"store=postgresql://… needs the extra cluster: {advice}"
        raise ConfigurationError(message)
    try:
        return without_password(place)
    except ValueError:  # it quotes the address
        message = f"store: {NO_POSTGRES_URL}"
        raise ConfigurationError(message) from None


def open_store(settings: Settings) -> Store:
    """The store that ``settings`` name, or one in memory, which is this client's alone.

    It must be opened: ``await store.open()``. The first one in Postgres loads modules, which may take half a
    second: ``store_on`` does that in a thread.

    Raises:
        ConfigurationError: As in ``check_store``.
        StoreError: The address cannot be read.
    """
    check_store(settings)
    clock = clock_from(settings.clock)
    keep = settings.retention_seconds
    if settings.store is None:
        return Store(SQLiteDatabase(MEMORY, clock.now), clock, keep=keep)
    # Postgres measures leases by its own clock.
    place = os.fspath(settings.store)
    is_address = "://" in place
    key: _Key = (place, None) if is_address else (str(Path(place).absolute()), clock.now)
    with _lock:
        database = _databases.get(key)
        if database is None:
            database = _postgres(place) if is_address else SQLiteDatabase(key[0], clock.now)
            _databases[key] = database
    return Store(database, clock, keep=keep)


async def store_on(scope: LoopScope, settings: Settings) -> Store:
    """The open store of a client on its event loop. It is closed with the client.

    Raises:
        StoreError: It cannot be used. The message says why and what to do.
    """
    if settings.has_workers:
        await asyncio.to_thread(import_module, _POSTGRES_MODULE)

    def make() -> Store:
        store = open_store(settings)
        scope.closers.append(store.aclose)
        return store

    store: Store = scope.part(open_store, make)
    await store.open()
    return store


def _postgres(url: str) -> Database:
    from reflexio_async.durable.postgres import PostgresDatabase  # noqa: PLC0415  # an extra

    return PostgresDatabase(url)
