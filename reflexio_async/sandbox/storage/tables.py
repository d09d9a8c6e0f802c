"""Tables of rows in memory, and which rows changed since they were last written to the data file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar, cast

from pydantic import TypeAdapter

_AnyKey = str | int | tuple[str, str]
RowKey = tuple[str, _AnyKey]
"""The name of a table, and a key in it."""


class Row:
    """Base of dataclasses that are kept in tables. Setting a field marks the row as changed.

    A change inside a field (an item of a list, for example) goes unnoticed. Call ``mark_changed()`` then.
    """

    __slots__ = ("_owner",)
    _owner: tuple[_Owner, _AnyKey] | None

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Make a row that belongs to no table."""
        row = super().__new__(cls)
        object.__setattr__(row, "_owner", None)
        return row

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        self.mark_changed()

    def mark_changed(self) -> None:
        """Report a change to the table, if the row is in one."""
        if self._owner is not None:
            table, key = self._owner
            table.row_changed(key)

    def attach(self, table: _Owner, key: _AnyKey) -> None:
        """Belong to a table, under this key."""
        object.__setattr__(self, "_owner", (table, key))

    def detach(self, table: _Owner) -> None:
        """No longer belong to this table."""
        if self._owner is not None and self._owner[0] is table:
            object.__setattr__(self, "_owner", None)

    def document(self) -> dict[str, Any]:
        """The fields as JSON values, without what was not set in pydantic's models."""
        document: dict[str, Any] = _adapter(cast("Any", self.__class__)).dump_python(
            self, mode="json", exclude_unset=True
        )
        return document

    def fields_except(self, *names: str) -> dict[str, Any]:
        """The fields without some of them."""
        return {name: getattr(self, name) for name in _field_names(self) if name not in names}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """The row whose ``document()`` this is."""
        row: Self = _adapter(cast("Any", cls)).validate_python(document)
        return row


class _Owner(Protocol):
    def row_changed(self, key: _AnyKey) -> None: ...


@cache
def _adapter(row_type: Any) -> TypeAdapter[Any]:
    """Making an adapter takes milliseconds."""
    return TypeAdapter(row_type)


_names: Final[dict[type[Any], tuple[str, ...]]] = {}
"""The fields of each row type. ``dataclasses.fields`` is too slow to call for every row."""


def _field_names(row: Any) -> tuple[str, ...]:
    row_type = cast("type[Any]", row.__class__)
    if (names := _names.get(row_type)) is None:
        fields = dataclasses.fields(row_type)
        names = _names[row_type] = tuple(field.name for field in fields if field.init)
    return names


_Key = TypeVar("_Key", bound=_AnyKey)
_Row = TypeVar("_Row", bound=Row)


class Table(dict[_Key, _Row], Generic[_Key, _Row]):
    """Rows by key, in the order of their insertion.

    Args:
        changes: Records the changes.
        name: The table's name, unique among those of ``changes``.
        from_document: Makes a row from its ``document()``.
        key_of: The key of a row.
    """

    def __init__(
        self,
        changes: ChangeTracker,
        name: str,
        from_document: Callable[[dict[str, Any]], _Row],
        key_of: Callable[[_Row], _Key],
    ) -> None:
        super().__init__()
        self._changes = changes
        self._from_document = from_document
        self._key_of = key_of
        self.name = name
        changes.tables[name] = self

    def __setitem__(self, key: _Key, row: _Row) -> None:
        if (before := self.get(key)) is not None:
            before.detach(self)
        super().__setitem__(key, row)
        if self._changes.enabled:
            row.attach(self, key)
            self._changes.record(self.name, key, reinsert=before is None)

    def __delitem__(self, key: _Key) -> None:
        self[key].detach(self)
        super().__delitem__(key)
        self._changes.record(self.name, key, reinsert=True)

    def clear(self) -> None:
        """Delete all rows."""
        for key in list(self):
            del self[key]

    if not TYPE_CHECKING:
        # dict's own versions do not call the two methods above.
        __ior__ = popitem = setdefault = update = None

        def pop(self, key: Any, *default: Any) -> Any:
            """Delete a row and return it."""
            if key not in self:
                return super().pop(key, *default)
            row = self[key]
            del self[key]
            return row

    def row_changed(self, key: _AnyKey) -> None:
        """Record that a field of a row was set."""
        self._changes.record(self.name, key, reinsert=False)

    def encoded(self, key: _AnyKey) -> str | None:
        """A row's document as JSON text; None when there is no such row."""
        row = dict[Any, _Row].get(self, key)
        return None if row is None else json.dumps(row.document(), separators=(",", ":"))

    def restore(self, document: str) -> None:
        """Insert a row from its JSON text. This is not recorded as a change."""
        row = self._from_document(json.loads(document))
        key = self._key_of(row)
        super().__setitem__(key, row)
        row.attach(self, key)


class ChangeTracker:
    """The tables of a sandbox and the changes to their rows, for the data file.

    Args:
        enabled: Whether to record changes. Without a data file it is not necessary.
    """

    def __init__(self, *, enabled: bool = False) -> None:
        self.enabled = enabled
        self.tables: dict[str, Table[Any, Any]] = {}
        self.on_change: Callable[[], None] = _ignore
        """Called at the first change after ``take()``."""
        self.count = 0
        """How many changes there were in all."""
        self._pending: dict[RowKey, bool] = {}

    @property
    def pending(self) -> bool:
        """Whether there were changes since ``take()``."""
        return bool(self._pending)

    def record(self, table: str, key: _AnyKey, *, reinsert: bool) -> None:
        """Record a change. ``reinsert``: the row was inserted or deleted, not changed in place."""
        if not self.enabled:
            return
        pending, row_key = self._pending, (table, key)
        self.count += 1
        if not pending:
            self.on_change()
        # An inserted row moves behind all others in the file, as it did in the table.
        if reinsert:
            pending.pop(row_key, None)
            pending[row_key] = True
        else:
            pending.setdefault(row_key, False)

    def take(self) -> dict[RowKey, bool]:
        """The changes since the last call, in order: by row, whether it must be reinserted."""
        taken, self._pending = self._pending, {}
        return taken

    def put_back(self, taken: dict[RowKey, bool]) -> None:
        """Make changes pending again that could not be written."""
        for row_key, reinsert in self._pending.items():
            taken[row_key] = taken.pop(row_key, False) or reinsert
        self._pending = taken

    def row_change(self, row_key: RowKey, *, reinsert: bool) -> RowChange:
        """What to write for a row now. Raises what JSON encoding raises."""
        name, key = row_key
        table = self.tables.get(name)
        return RowChange(name, json.dumps(key), reinsert, None if table is None else table.encoded(key))


@dataclasses.dataclass(frozen=True, slots=True)
class RowChange:
    """A row as it is now.

    Attributes:
        table: The name of its table.
        key: The key as JSON text.
        reinsert: Whether the row moves behind all others.
        document: The row as JSON text; None when it was deleted.
    """

    table: str
    key: str
    reinsert: bool
    document: str | None


def _ignore() -> None:
    pass


@dataclasses.dataclass(slots=True)
class IdCounter(Row):
    """Gives out each number once."""

    name: str
    last: int = 0

    def __next__(self) -> int:
        self.last += 1
        return self.last


@dataclasses.dataclass(slots=True)
class DocumentRow(Row):
    """A JSON value without a row type of its own."""

    name: str | int
    body: Any


def by_name(row: IdCounter | DocumentRow) -> str | int:
    """The key of such a row."""
    return row.name
