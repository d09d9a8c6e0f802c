"""Routes: what a caller may send, how often, who answers, and which of them is meant."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from reflexio_async.sandbox.http.context import Closing
from reflexio_async.sandbox.http.responses import Invalid, Refused, Reply, internal_error, problem
from reflexio_async.sandbox.reflexio.schemas.common import Nothing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.state import World

_logger = logging.getLogger(__name__)


class Row(Protocol):
    """What a table needs to know of a route."""

    @property
    def method(self) -> str:
        """In capitals."""
        ...

    @property
    def path(self) -> str:
        """With ``{names}``."""
        ...


_Body = TypeVar("_Body", bound=BaseModel)
_Row = TypeVar("_Row", bound=Row)


@dataclass(frozen=True, slots=True)
class Route:
    """One row; ``read`` makes the handler's last argument out of the request, or raises ``Invalid``."""

    method: str
    path: str
    read: Callable[[Call], Any]
    answer: Callable[[World, Call, Any], Awaitable[Reply]]
    per_minute: int | None = None


class Table(Generic[_Row]):
    """Finds the route of a path, whose names stand for anything but a slash."""

    def __init__(self, routes: Iterable[_Row]) -> None:
        self.routes = tuple(routes)
        self._literal: dict[str, dict[str, _Row]] = {}
        self._named: dict[str, tuple[re.Pattern[str], dict[str, _Row]]] = {}
        for route in self.routes:
            if "{" not in route.path:
                self._literal.setdefault(route.path, {})[route.method] = route
                continue
            pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path))
            self._named.setdefault(route.path, (pattern, {}))[1][route.method] = route

    def find(self, path: str) -> Found[_Row] | None:
        """By method, with what the names stand for."""
        if (methods := self._literal.get(path)) is not None:
            return Found(methods)
        for pattern, methods in self._named.values():
            if (match := pattern.fullmatch(path)) is not None:
                return Found(methods, match.groupdict())
        return None

    def route_of(self, call: Call) -> _Row:
        """The route that is meant, its names told to the call; or ``Refused`` as FastAPI refuses."""
        path = call.record.path
        if (found := self.find(path)) is None:
            bare = path.rstrip("/")
            if path != bare and self.find(bare) is not None:
                location = f"http://{call.record.headers.get('Host', '')}{bare}"
                raise Refused(Reply("", 307, {"Location": location}))
            raise Refused(problem(404, "Not Found"))
        if (route := found.methods.get(call.record.method)) is None:
            raise Refused(problem(405, "Method Not Allowed", {"Allow": ", ".join(sorted(found.methods))}))
        call.names = found.names
        return route


@dataclass(frozen=True, slots=True)
class Found(Generic[_Row]):
    """The routes of one path."""

    methods: Mapping[str, _Row]
    names: Mapping[str, str] = field(default_factory=dict[str, str])


async def replied(call: Call, work: Awaitable[Reply]) -> Reply:
    """What ``work`` answers, or the answer to what stopped it."""
    try:
        return await work
    except Refused as refused:
        return refused.reply
    except Invalid as invalid:
        return problem(422, invalid.errors)
    except Closing:
        raise
    except Exception:
        # Known triggers exist, such as mixing naive and aware times; others are the sandbox's own bugs.
        _logger.exception("500 for %s %s", call.record.method, call.record.path)
        return internal_error()


def get(
    path: str,
    answer: Callable[[World, Call, _Body], Awaitable[Reply]],
    query: type[_Body],
    per_minute: int | None = None,
) -> Route:
    """Reads what is asked for in the query string."""
    return Route("GET", path, from_query(query), answer, per_minute)


def bare(
    method: str,
    path: str,
    answer: Callable[[World, Call, Nothing], Awaitable[Reply]],
    per_minute: int | None = None,
) -> Route:
    """Reads nothing."""
    return Route(method, path, lambda _: Nothing(), answer, per_minute)


def sent(
    method: str,
    path: str,
    answer: Callable[[World, Call, _Body], Awaitable[Reply]],
    body: type[_Body],
    per_minute: int | None = None,
) -> Route:
    """Reads a JSON body."""
    return Route(method, path, from_body(body), answer, per_minute)


def post(
    path: str,
    answer: Callable[[World, Call, _Body], Awaitable[Reply]],
    body: type[_Body],
    per_minute: int | None = None,
) -> Route:
    """Reads a JSON body."""
    return sent("POST", path, answer, body, per_minute)


def from_query(model: type[_Body]) -> Callable[[Call], _Body]:
    """Reads the query string."""
    return lambda call: validated(model, dict(call.record.query), "query")


def from_body(model: type[_Body]) -> Callable[[Call], _Body]:
    """Reads a JSON body."""
    return lambda call: validated(model, _json_of(call), "body")


def validated(model: type[_Body], given: Any, place: str) -> _Body:
    """What was given as the route wants it, or ``Invalid``."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        if not isinstance(given, dict) and not error.errors()[0]["type"] == "dict_type":
            raise Invalid([_not_an_object(given)]) from error
        raise Invalid.of(error, place) from error


def _json_of(call: Call) -> Any:
    """The body as FastAPI reads it: JSON only when it is called so, else one piece of text."""
    if not call.raw_body:
        missing = {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}
        raise Invalid([missing])
    kind = call.record.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        return call.raw_body.decode(errors="replace")
    try:
        return json.loads(call.raw_body)
    except json.JSONDecodeError as error:
        raise Invalid(
            [
                {
                    "type": "json_invalid",
                    "loc": ["body", error.pos],
                    "msg": "JSON decode error",
                    "input": {},
                    "ctx": {"error": error.msg},
                }
            ]
        ) from error
    except (ValueError, RecursionError) as error:
        # Not UTF-8 (so packed, too), or nested too deep.
        raise Refused(problem(400, "There was an error parsing the body")) from error


def _not_an_object(given: Any) -> dict[str, Any]:
    return {
        "type": "model_attributes_type",
        "loc": ["body"],
        "msg": "Input should be a valid dictionary or object to extract fields from",
        "input": given,
    }
