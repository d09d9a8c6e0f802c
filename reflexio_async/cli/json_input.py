"""Reads JSON that a command sends: one value, or one object per line. All is checked before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from reflexio_async.cli.inputs import decode_line, name_of, read_bytes, read_utf8
from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async._engine.models import RequestModel, RequestPart

_SHOWN = 5


class BadLines(InvalidRequest):
    """Some lines of a file are unusable.

    Attributes:
        lines: The number of each line, and what is wrong with it.
    """

    def __init__(self, name: str, lines: list[tuple[int, str]]) -> None:
        self.lines = [{"line": number, "message": message} for number, message in lines]
        numbers: dict[str, list[int]] = {}
        for number, message in lines:
            numbers.setdefault(message, []).append(number)
        faults = [f"{_lines_text(found)}: {message}" for message, found in numbers.items()]
        more = [f"and other faults on {len(faults) - _SHOWN} more lines"] if len(faults) > _SHOWN else []
        super().__init__(f"{name}: nothing was sent, because of {'; '.join(faults[:_SHOWN] + more)}")


def _lines_text(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"line{'' if len(numbers) == 1 else 's'} {shown}{more}"


def read_json(source: str) -> Any:
    """The JSON value in the file ``source``; ``-`` is standard input.

    Raises:
        InvalidRequest: It cannot be read, or is not JSON.
    """
    name = name_of(source)
    try:
        return json.loads(read_utf8(source))
    except json.JSONDecodeError as error:
        _refuse(f"{name}: no JSON from line {error.lineno}, column {error.colno} on")
    except RecursionError:
        _refuse(f"{name}: nested too deeply")


def read_json_lines(
    source: str, complete: Callable[[dict[str, Any]], dict[str, Any]], model: type[RequestModel | RequestPart]
) -> list[tuple[int, dict[str, Any]]]:
    """The JSON objects in the file ``source``, one on each line, with the numbers of their lines.

    Blank lines are skipped.

    Args:
        source: The file; ``-`` is standard input.
        complete: Adds to an object what the options of the command say.
        model: The request that each of them must fit.

    Raises:
        BadLines: Some lines are unusable. The error names each of them.
        InvalidRequest: The file cannot be read, or there is no line.
    """
    from reflexio_async._engine.models import build_request  # noqa: PLC0415  # slow to load

    name = name_of(source)
    good: list[tuple[int, dict[str, Any]]] = []
    bad: list[tuple[int, str]] = []
    for number, line in enumerate(read_bytes(source).split(b"\n"), start=1):
        if not line.strip(b"\xef\xbb\xbf \t\r"):
            continue
        try:
            item = complete(_object(decode_line(line, name, number)))
            build_request(model, item)
        except InvalidRequest as error:
            bad.append((number, error.faults.removeprefix(f"{name}, line {number}: ")))
        else:
            good.append((number, item))
    if bad:
        raise BadLines(name, bad)
    if not good:
        _refuse(f"{name}: nothing in it; put one JSON object on each line")
    return good


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        _refuse(
            "no JSON object, such as {…}"
            if error.colno == 1
            else f"no JSON from column {error.colno} on; a line is one object, such as {{…}}"
        )
    except RecursionError:
        _refuse("nested too deeply")
    if isinstance(value, list):
        _refuse("a JSON list; put each of its objects on a line of its own")
    if not isinstance(value, dict):
        _refuse("no JSON object, such as {…}")
    return value  # pyright: ignore[reportUnknownVariableType]


def _refuse(message: str) -> NoReturn:
    raise InvalidRequest(message)
