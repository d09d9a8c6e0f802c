"""Which rows have changed since they were last kept, so that keeping costs what changed and no more."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_AnyKey = str | int | tuple[str, str]
Place = tuple[str, _AnyKey]
"""Table and key."""


class Row:
    """A dataclass that tells its table, once it is in one, of every field that is set.

    What changes inside a field (an item of a list) goes unnoticed: ``touch()`` tells of that.
    """

    __slots__ = ("_home",)
    _home: tuple[_Home, _AnyKey] | None

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Belong to no table yet."""
        row = super().__new__(cls)
        object.__setattr__(row, "_home", None)
        return row

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        self.touch()

    def touch(self) -> None:
        """Say that something has changed."""
        if self._home is not None:
            table, key = self._home
            table.changed(key)

    def settle(self, table: _Home, key: _AnyKey) -> None:
        """Belong to a table, under a key."""
        object.__setattr__(self, "_home", (table, key))

    def leave(self, table: _Home) -> None:
        """Belong to it no more, if it did."""
        if self._home is not None and self._home[0] is table:
            object.__setattr__(self, "_home", None)

    def document(self) -> dict[str, Any]:
        """The fields, as JSON can say them."""
        return {name: getattr(self, name) for name in _names_of(self)}

    @classmethod
    def restored(cls, document: dict[str, Any]) -> Self:
        """The row whose ``document()`` this is."""
        return cls(**document)


class _Home(Protocol):
    def changed(self, key: _AnyKey) -> None: ...


_names: Final[dict[type[Any], tuple[str, ...]]] = {}
"""Of the fields of each type of rows; looked up at every change."""


def _names_of(row: Any) -> tuple[str, ...]:
    kind = cast("type[Any]", row.__class__)
    if (names := _names.get(kind)) is None:
        names = _names[kind] = tuple(field.name for field in dataclasses.fields(kind) if field.init)
    return names


_Key = TypeVar("_Key", bound=_AnyKey)
_Row = TypeVar("_Row", bound=Row)


class Table(dict[_Key, _Row], Generic[_Key, _Row]):
    """Rows by key, in the order in which they came; what happens to them is noted in ``changes``.

    Args:
        changes: Where to note it.
        kind: The table's name, unique among those of ``changes``.
        read: Makes a row out of its ``document()``.
        key: Says under which key it belongs.
    """

    def __init__(
        self,
        changes: Changes,
        kind: str,
        read: Callable[[dict[str, Any]], _Row],
        key: Callable[[_Row], _Key],
    ) -> None:
        super().__init__()
        self._changes = changes
        self._read = read
        self._key = key
        self.kind = kind
        changes.tables[kind] = self

    def __setitem__(self, key: _Key, row: _Row) -> None:
        if (before := self.get(key)) is not None:
            before.leave(self)
        super().__setitem__(key, row)
        if self._changes.noted:
            row.settle(self, key)
            self._changes.note(self.kind, key, moved=before is None)

    def __delitem__(self, key: _Key) -> None:
        self[key].leave(self)
        super().__delitem__(key)
        self._changes.note(self.kind, key, moved=True)

    def clear(self) -> None:
        """Forget all rows."""
        for key in list(self):
            del self[key]

    if not TYPE_CHECKING:
        # dict's own versions go past the two methods above.
        __ior__ = popitem = setdefault = update = None

        def pop(self, key: Any, *default: Any) -> Any:
            """Take a row out."""
            if key not in self:
                return super().pop(key, *default)
            row = self[key]
            del self[key]
            return row

    def changed(self, key: _AnyKey) -> None:
        """A row has changed in place."""
        self._changes.note(self.kind, key, moved=False)

    def document(self, key: _AnyKey) -> str | None:
        """A row as it is kept, in JSON; None when it is gone."""
        row = dict[Any, _Row].get(self, key)
        return None if row is None else json.dumps(row.document(), separators=(",", ":"))

    def restore(self, document: str) -> None:
        """Take a row that was kept; this is no change."""
        row = self._read(json.loads(document))
        key = self._key(row)
        super().__setitem__(key, row)
        row.settle(self, key)


class Changes:
    """The tables of a world, and what has happened to their rows; nothing is noted unless ``noted``."""

    def __init__(self, *, noted: bool = False) -> None:
        self.noted = noted
        self.tables: dict[str, Table[Any, Any]] = {}
        self.told: Callable[[], None] = _nobody
        """Called at the first change after ``taken()``."""
        self.count = 0
        """How many changes there ever were."""
        self._pending: dict[Place, bool] = {}

    @property
    def pending(self) -> bool:
        """Whether anything has happened since then."""
        return bool(self._pending)

    def note(self, kind: str, key: _AnyKey, *, moved: bool) -> None:
        """A row came or went (``moved``), or changed where it is."""
        if not self.noted:
            return
        pending, change = self._pending, (kind, key)
        self.count += 1
        if not pending:
            self.told()
        # A row that came or went takes its new place in the order, behind all others.
        pending[change] = (pending.pop(change, False) if moved else pending.get(change, False)) or moved

    def taken(self) -> dict[Place, bool]:
        """What happened since the last time, in order: where, and whether the row came or went."""
        taken, self._pending = self._pending, {}
        return taken

    def put_back(self, taken: dict[Place, bool]) -> None:
        """Keeping these failed: they are still to be kept."""
        for change, moved in self._pending.items():
            taken[change] = taken.pop(change, False) or moved
        self._pending = taken

    def change(self, place: Place, *, moved: bool) -> Change:
        """What to keep now; raises whatever JSON has against the row."""
        kind, key = place
        table = self.tables.get(kind)
        return Change(kind, json.dumps(key), moved, None if table is None else table.document(key))


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One row as it is now; ``document`` is None when it is gone, ``moved`` when it takes a new place."""

    kind: str
    key: str
    moved: bool
    document: str | None


def _nobody() -> None:
    pass


@dataclasses.dataclass(slots=True)
class Counter(Row):
    """Gives every number once."""

    name: str
    last: int = 0

    def __next__(self) -> int:
        self.last += 1
        return self.last


@dataclasses.dataclass(slots=True)
class Document(Row):
    """Something without a type of its own."""

    name: str | int
    body: Any


def by_name(row: Counter | Document) -> str | int:
    """The key of such a row."""
    return row.name
