"""The ids that a command goes over: from a file, from standard input, or from arguments."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from unicodedata import category

from reflexio_async.cli.inputs import decode_line, name_of, read_bytes
from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

_DELIMITERS = (",", ";", "\t")
_HEADINGS = ("id", "uid", "user", "user id", "user_id", "userid", "agent version", "agent_version", "version")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Ids(NamedTuple):
    """Ids, each once. ``note`` says how many were left out, because they were given twice; or it is empty."""

    ids: list[str]
    note: str = ""


class _Line(NamedTuple):
    number: int
    text: str


def read_ids(source: str, column: str | None = None) -> Ids:
    """The ids in the file ``source`` (``-`` is standard input), one on each line.

    Blank lines and lines that begin with ``#`` are skipped. The file may have Windows line ends and a byte
    order mark, and may be UTF-16 with one.

    Args:
        source: The file.
        column: The file is a table (CSV), and this is the column of the ids: its heading, or its number from
            1, if the table has no headings.

    Raises:
        InvalidRequest: There is no id, or a line is no id. The message names the file and the line.
    """
    name = name_of(source)
    lines = _lines_of(read_bytes(source), name)
    found = _one_per_line(lines, name) if column is None else _of_column(lines, name, column)
    for number, text in found:
        if any(category(char) == "Cc" for char in text):
            _refuse(
                f"{name}, line {number}: {text!r} holds a control character; one id per line, nothing else"
            )
    if not found:
        _refuse(f"{name}: no ids in it; put one on each line")
    return _each_once(((f"line {number}", text) for number, text in found), name)


def given_ids(ids: list[str]) -> Ids:
    """Ids from the command line."""
    return _each_once(
        ((f"number {number}", text) for number, text in enumerate(ids, start=1)), "the arguments"
    )


def _lines_of(content: bytes, name: str) -> list[_Line]:
    if content.startswith(_UTF16):
        try:
            content = content.decode("utf-16").encode()
        except UnicodeError:
            _refuse(f"{name}: it begins as UTF-16 text, and is none; save it as UTF-8")
    elif b"\0" in content:
        _refuse(f"{name}: not UTF-8 text (it may be UTF-16 without a byte order mark); save it as UTF-8")
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = enumerate(content.split(b"\n"), start=1)
    return [_Line(number, decode_line(line, name, number)) for number, line in lines]


def _one_per_line(lines: list[_Line], name: str) -> list[_Line]:
    found = [_Line(number, text.strip()) for number, text in lines]
    found = [line for line in found if line.text and not line.text.startswith("#")]
    if not found:
        return found
    number, first = found[0]
    delimiter = next((each for each in _DELIMITERS if all(each in line.text for line in found)), None)
    if delimiter is not None:
        heading = first.split(delimiter)[0].strip().strip('"')
        _refuse(
            f"{name}, line {number}: {first[:80]!r} looks like a row of a table (CSV), not like one id; "
            f"name the column of the ids by its heading or its number, such as --column {(heading or '1')!r}"
        )
    if first.strip('"').lower() in _HEADINGS and len(found) > 1:
        _refuse(
            f"{name}, line {number}: {first!r} looks like a heading, not like an id; "
            f"delete the line, or say --column {first.strip(chr(34))!r}"
        )
    if all(len(line.text) > 1 and line.text[0] == line.text[-1] == '"' for line in found):
        _refuse(f"{name}, line {number}: {first[:80]} has quotes, as in a table (CSV); say --column 1")
    return found


def _of_column(lines: list[_Line], name: str, column: str) -> list[_Line]:
    heading = next((text for _, text in lines if text.strip()), "")
    counts = Counter({each: heading.count(each) for each in _DELIMITERS})
    [(delimiter, count)] = counts.most_common(1)
    table = csv.reader((f"{text}\n" for _, text in lines), delimiter=delimiter if count else ",")
    try:
        rows = [(table.line_num, row) for row in table if any(cell.strip() for cell in row)]
    except csv.Error as error:
        _refuse(f"{name}, line {table.line_num}: no table (CSV): {error}")
    if not rows:
        return []
    headings = [cell.strip() for cell in rows[0][1]]
    if column in headings:
        index, rows = headings.index(column), rows[1:]
    elif column.isdecimal() and 0 < int(column) <= len(headings):
        index = int(column) - 1
    else:
        shown = ", ".join(map(repr, headings[:10]))
        _refuse(f"--column: {name} has no column {column!r}; line {rows[0][0]} has {shown}")
    for number, row in rows:
        if len(row) <= index or not row[index].strip():
            _refuse(f"{name}, line {number}: there is nothing in the column {column!r}")
    return [_Line(number, row[index].strip()) for number, row in rows]


def _each_once(found: Iterable[tuple[str, str]], name: str) -> Ids:
    first_at: dict[str, str] = {}
    repeated: list[tuple[str, str]] = []
    for place, text in found:
        if text in first_at:
            repeated.append((place, text))
        first_at.setdefault(text, place)
    if not repeated:
        return Ids(list(first_at))
    place, text = repeated[0]
    count = f"{len(repeated)} duplicate{'s' if len(repeated) > 1 else ''}"
    return Ids(
        list(first_at), f"{name}: {count} left out; the first is {text!r}, {place} and {first_at[text]}"
    )


def _refuse(message: str) -> NoReturn:
    raise InvalidRequest(message)
