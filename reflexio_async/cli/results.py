"""What a command has to show: as JSON for programs, as text for people."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, SOME_FAILED
from reflexio_async.cli.output import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rich.console import Console

    Columns = Mapping[str, str | Callable[[Any], object]]
    """Titles, and where the text of a cell is: an attribute of the item, or a function of it."""


_NARROW = 60
"""On fewer columns a table would break every word."""
_IDS = frozenset(("id", "user", "request", "memory", "session", "account"))
"""Columns whose cells are never broken: they are copied into the next command."""
_FOLDED = 10
"""The least width of another column, into which a longer cell is folded."""


@dataclass(frozen=True)
class Result:
    """What a command has to show.

    Args:
        data: What ``--json`` writes: one line, an object.
        show: Prints it for people.
        exit_code: The exit code of the command.
    """

    data: Any
    show: Callable[[Console], None]
    exit_code: int = OK

    def write(self, *, as_json: bool) -> None:
        """Write it to stdout."""
        if as_json:
            output.write_line(_json(self.data))
        else:
            self.show(output.console())


def new_table(*columns: str) -> Table:
    """An empty table."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in _IDS)
    return table


def print_table(to: Console, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows: as a table on a terminal, as lines where that is narrow, else separated by tabs.

    Ids are not broken. A terminal is narrow, too, when they leave no room for the rest.
    """
    rows = [[one_line(cell) for cell in row] for row in rows]
    if not to.is_terminal:
        for row in rows:
            to.file.write("\t".join(row) + "\n")  # print would turn tabs into blanks
    elif to.width < max(_NARROW, _least_width(names, rows)):
        for number, row in enumerate(rows):
            if number:
                to.print()
            for name, cell in zip(names, row, strict=True):
                if cell:
                    is_too_long = name in _IDS and cell_len(cell) > to.width
                    to.print(Text.assemble((f"{name}: ", "bold"), cell), soft_wrap=is_too_long)
    elif rows:
        table = new_table(*names)
        for row in rows:
            table.add_row(*map(Text, row))
        to.print(table)


def _least_width(names: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """How many columns a table needs in which no id is broken."""
    width = 3 * len(names) - 1  # blanks between the columns and at the edges
    for name, *cells in zip(names, *rows, strict=True):
        widest = max(map(cell_len, (name, *cells)))
        width += widest if name in _IDS else min(widest, _FOLDED)
    return width


def listing(
    items: Sequence[Any], columns: Columns, *, limit: int | None = None, nothing: str = "nothing found"
) -> Result:
    """Items, one row each. As JSON: ``{"items": […], "count": 2}``. With so many as ``limit``, say so."""
    cells = {name: attrgetter(at) if isinstance(at, str) else at for name, at in columns.items()}

    def show(to: Console) -> None:
        if items:
            print_table(to, list(cells), [[_text(get(item)) for get in cells.values()] for item in items])
        else:
            output.note(nothing)
        if len(items) == limit:
            output.note(f"these are the first {limit}; there may be more (--limit)")

    return Result({"items": items, "count": len(items)}, show)


def fields(data: Mapping[str, Any], *, exit_code: int = OK) -> Result:
    """One line for each field that has a value. As JSON: ``data``."""

    def show(to: Console) -> None:
        for name, value in data.items():
            if value not in (None, "", [], {}):
                output.print_line(to, f"{name.replace('_', ' ')}: {_text(value)}")

    return Result(data, show, exit_code)


def sentence(text: str, data: Mapping[str, Any], *, exit_code: int = OK) -> Result:
    """One line of text."""
    return Result(data, lambda to: output.print_line(to, text), exit_code)


def deleted(count: int | None = None, asked: int = 0) -> Result:
    """How many were deleted; None: not counted. Exit code 1 if there were fewer than ``asked`` for."""
    if count is None:
        return sentence("deleted", {"deleted": None})
    missing = f"; {asked - count} did not exist" if count < asked else ""
    exit_code = SOME_FAILED if missing else OK
    return sentence(f"deleted {count} of {asked}{missing}", {"deleted": count}, exit_code=exit_code)


def document(data: Any) -> Result:
    """JSON in any case. On a terminal it is indented."""

    def show(to: Console) -> None:
        output.write_line(_json(data, indent=2 if to.is_terminal else None))

    return Result(data, show)


def _json(data: Any, indent: int | None = None) -> str:
    from pydantic_core import to_json  # noqa: PLC0415  # slow to load

    return to_json(data, indent=indent, inf_nan_mode="null").decode()


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, cast("list[Any]", value)))
    return str(value)
