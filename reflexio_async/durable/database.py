"""What a store needs of a database. ``sqlite.py`` and ``postgres.py`` are the two that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

Value: TypeAlias = "str | int | float | None"
Row: TypeAlias = tuple[Any, ...]


class Statement(NamedTuple):
    """One SQL statement with ``?`` for its values."""

    sql: str
    values: tuple[Value, ...] = ()


class Database(Protocol):
    """A database with the tables of ``schema.py``. One object serves all clients of a process.

    The SQL is the same for both. Where they differ, the text has one of these names in braces:
    ``{now}`` (the seconds of the clock that leases are measured by), ``{boot}`` (the machine's boot, because
    a lease of an earlier boot is over), ``{process}`` (a name of this process), ``{ended}`` (whether the
    process that the column ``process`` names has certainly ended), ``{serial}`` (the type of a key that grows
    by itself) and ``{size}`` (the bytes that the store takes).
    """

    name: str
    """The path or the address without its password, for messages."""

    changes: int
    """Grows when this process sees that rows have changed. See ``changed``."""

    async def open(self) -> None:
        """Connect, and make the tables if there are none. Each ``open`` needs one ``aclose``.

        Raises:
            StoreError: It cannot be used. The message says why and what to do.
        """
        ...

    async def read(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows of one SELECT."""
        ...

    async def write(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run ``statements`` in one transaction. Return the rows of each, when all are safe on the disk.

        A statement that returns no rows has an empty one for each row that it has changed.

        Raises:
            StoreError: Nothing was written.
        """
        ...

    def write_soon(self, statements: Sequence[Statement]) -> None:
        """Run ``statements`` in one transaction. This waits neither for that nor for the disk.

        They run in the order of these calls. An error is logged.
        """
        ...

    async def changed(self, within: float, since: int | None = None) -> int:
        """Wait until rows may have changed, in any process, and at most ``within`` seconds.

        Args:
            within: Seconds of real time.
            since: The value of ``changes`` before the rows were read. If they have changed since then, there
                is no waiting.

        Returns:
            The value of ``changes`` now.
        """
        ...

    async def aclose(self) -> None:
        """Finish the writes that were asked for, and close, with the last of the clients."""
        ...


NO_POSTGRES_URL = (
    "the store's address is no Postgres URL, which begins with postgresql://user:password@host. "
    "In the password, write @ as %40 and / as %2F"
)
"""What is said of an address that ``without_password`` refuses. It must not be quoted."""


def without_password(url: str) -> str:
    """An address as messages show it.

    A password may hold ``#`` and ``?`` as they are: libpq takes all before the ``@`` for it.

    Raises:
        ValueError: It is none, or its password holds ``@`` or ``/`` as they are: libpq reads that in pieces.
    """
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    login, at, host = place.rpartition("@")
    path = path.partition("?")[0]
    if "@" in login or "@" in path:
        message = "the password holds characters that must be written as %40 or %2F"
        raise ValueError(message)
    user = login.partition(":")[0].partition("?")[0]
    name = f"{scheme}://{user}{at}{host.partition('?')[0]}{slash}{path}"
    urlsplit(name)  # finds a broken host
    return name
