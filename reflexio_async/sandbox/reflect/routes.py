"""The Reflect routes, and which scopes open them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from reflexio_async.sandbox.http.responses import Invalid
from reflexio_async.sandbox.http.routing import Table, from_body, from_query
from reflexio_async.sandbox.reflect import handlers
from reflexio_async.sandbox.reflect import schemas as bodies
from reflexio_async.sandbox.reflect.api_keys import (
    KEYS_MANAGE,
    MEMORY_READ,
    MEMORY_WRITE,
    TRACE_READ,
    TRACE_WRITE,
)
from reflexio_async.sandbox.reflexio.schemas.common import Nothing

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.http.responses import Reply
    from reflexio_async.sandbox.reflect.state import Reflect

_Body = TypeVar("_Body", bound=BaseModel)
_Answer = Callable[["Reflect", "Call", _Body], Awaitable["Reply"]]

OPEN: Final = None
"""Needs no key."""
MASTER: Final = ()
"""The scopes of what only the master key opens."""


@dataclass(frozen=True, slots=True)
class ReflectRoute:
    """One row; any of ``scopes`` will do."""

    method: str
    path: str
    read: Callable[[Call], Any]
    answer: Callable[[Reflect, Call, Any], Awaitable[Reply]]
    scopes: tuple[str, ...] | None


def _bare(method: str, path: str, answer: _Answer[Nothing], scopes: tuple[str, ...] | None) -> ReflectRoute:
    return ReflectRoute(method, path, lambda _: Nothing(), answer, scopes)


def _post(
    path: str, answer: _Answer[_Body], body: type[_Body], scopes: tuple[str, ...] | None
) -> ReflectRoute:
    return ReflectRoute("POST", path, from_body(body), answer, scopes)


def _bootstrap(call: Call) -> bodies.Bootstrap:
    """The body, and a header that must be there: what is wrong with either is told at once."""
    problems: list[Any] = []
    if "X-Bootstrap-Token" not in call.record.headers:
        location = ["header", "x-bootstrap-token"]
        problems.append({"type": "missing", "loc": location, "msg": "Field required", "input": None})
    try:
        body = from_body(bodies.Bootstrap)(call)
    except Invalid as invalid:
        raise Invalid([*problems, *invalid.errors]) from invalid
    if problems:
        raise Invalid(problems)
    return body


_PROJECT = "/v1/projects/{project_id}"
_TRACES = f"{_PROJECT}/traces"
_KEYS = f"{_PROJECT}/api-keys"
_READS_TRACES = (TRACE_READ, TRACE_WRITE)

REFLECT: Final = Table(
    (
        _bare("GET", "/health", handlers.health, OPEN),
        ReflectRoute("POST", "/v1/bootstrap", _bootstrap, handlers.bootstrap, OPEN),
        _bare("DELETE", _PROJECT, handlers.delete_project, MASTER),
        _post(f"{_PROJECT}/memory/query", handlers.query_memories, bodies.MemoryQuery, (MEMORY_READ,)),
        _bare("GET", f"{_PROJECT}/skill", handlers.get_skill, (MEMORY_READ,)),
        _post(f"{_PROJECT}/skill/create", handlers.create_skill, bodies.SkillCreate, (MEMORY_WRITE,)),
        ReflectRoute("GET", _TRACES, from_query(bodies.TraceFilter), handlers.list_traces, _READS_TRACES),
        _post(_TRACES, handlers.submit_trace, bodies.TraceCreate, (TRACE_WRITE,)),
        _post(f"{_TRACES}/delete", handlers.delete_traces, bodies.DeleteTraces, (TRACE_WRITE,)),
        _bare("GET", f"{_TRACES}/{{trace_id}}", handlers.get_trace, _READS_TRACES),
        _post(f"{_TRACES}/{{trace_id}}/review", handlers.review_trace, bodies.ReviewCreate, (TRACE_WRITE,)),
        _bare("GET", _KEYS, handlers.list_keys, (KEYS_MANAGE,)),
        _post(_KEYS, handlers.create_key, bodies.ApiKeyCreate, (KEYS_MANAGE,)),
        _post(f"{_KEYS}/{{key_id}}/revoke", handlers.revoke_key, Nothing, (KEYS_MANAGE,)),
    )
)
