"""Routes: which handler answers a request, and how its input is read."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ValidationError

from reflexio_async.sandbox.http.context import RequestContext, SandboxClosing
from reflexio_async.sandbox.http.responses import (
    RequestRejected,
    Response,
    ValidationFailed,
    error_response,
    internal_error,
)

_logger = logging.getLogger(__name__)

Handler = Callable[..., Awaitable[Response]]
Decorator = Callable[[Handler], Handler]
SchemaT = TypeVar("SchemaT", bound=BaseModel)
Scopes = tuple[str, ...] | None


class Route:
    """One method of one path.

    A handler gets what its parameters name: ``context``, a parameter of the path, what its service passes to
    ``handle()``, and the validated input as ``body`` (JSON) or ``query``, whose annotation is the schema.
    An underscore before a name changes nothing.

    Args:
        method: The HTTP method, in capitals.
        path: The path, with ``{names}`` for parameters.
        handler: Answers the request.
        per_minute: The rate limit, in requests per minute and client. None for no limit.
        scopes: Scopes of which a key needs one. Empty: only the master key. None: no key is needed.
    """

    def __init__(
        self, method: str, path: str, handler: Handler, per_minute: int | None = None, scopes: Scopes = None
    ) -> None:
        self.method = method
        self.path = path
        self.per_minute = per_minute
        self.scopes = scopes
        self._handler = handler
        hints = get_type_hints(handler)
        del hints["return"]
        self._parameters = {name.lstrip("_"): (name, annotation) for name, annotation in hints.items()}

    def parse(self, context: RequestContext) -> Any:
        """The validated input. None when the handler takes none. Raises ValidationFailed."""
        if "query" in self._parameters:
            return _validated(self._parameters["query"][1], dict(context.record.query), "query")
        if "body" in self._parameters:
            return parse_body(self._parameters["body"][1], context)
        return None

    def handle(self, context: RequestContext, given: Any, **values: Any) -> Awaitable[Response]:
        """The response to a request with this input. ``values`` are what a handler may name besides."""
        values |= {"context": context, "body": given, "query": given, **context.path_parameters}
        return self._handler(**{name: values[kind] for kind, (name, _) in self._parameters.items()})


class Router:
    """Routes by path and method. Handlers are added with decorators.

    Args:
        parts: Routers whose routes this one takes over.
    """

    def __init__(self, *parts: Router) -> None:
        self._paths: dict[str, dict[str, Route]] = {}
        self._patterns: dict[str, re.Pattern[str]] = {}
        for part in parts:
            for route in part.routes:
                self._add(route)

    @property
    def routes(self) -> Iterator[Route]:
        """All routes."""
        return (route for methods in self._paths.values() for route in methods.values())

    def get(self, path: str, *, per_minute: int | None = None, scopes: Scopes = None) -> Decorator:
        """Add a GET handler."""
        return self._decorator("GET", path, per_minute, scopes)

    def post(self, path: str, *, per_minute: int | None = None, scopes: Scopes = None) -> Decorator:
        """Add a POST handler."""
        return self._decorator("POST", path, per_minute, scopes)

    def put(self, path: str) -> Decorator:
        """Add a PUT handler."""
        return self._decorator("PUT", path)

    def patch(self, path: str) -> Decorator:
        """Add a PATCH handler."""
        return self._decorator("PATCH", path)

    def delete(self, path: str, *, per_minute: int | None = None, scopes: Scopes = None) -> Decorator:
        """Add a DELETE handler."""
        return self._decorator("DELETE", path, per_minute, scopes)

    def _decorator(
        self, method: str, path: str, per_minute: int | None = None, scopes: Scopes = None
    ) -> Decorator:
        def decorate(handler: Handler) -> Handler:
            self._add(Route(method, path, handler, per_minute, scopes))
            return handler

        return decorate

    def _add(self, route: Route) -> None:
        self._paths.setdefault(route.path, {})[route.method] = route
        if "{" in route.path:
            self._patterns[route.path] = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path))

    def match(self, context: RequestContext) -> Route:
        """The route of a request; sets the context's ``path_parameters``.

        Raises:
            RequestRejected: There is none: 404, 405 or a redirect, as FastAPI answers.
        """
        path = context.record.path
        if (found := self._find(path)) is None:
            without_slash = path.rstrip("/")
            if path != without_slash and self._find(without_slash) is not None:
                location = f"http://{context.record.headers.get('Host', '')}{without_slash}"
                raise RequestRejected(Response("", 307, {"Location": location}))
            raise RequestRejected(error_response(404, "Not Found"))
        methods, context.path_parameters = found
        if (route := methods.get(context.record.method)) is None:
            allow = {"Allow": ", ".join(sorted(methods))}
            raise RequestRejected(error_response(405, "Method Not Allowed", allow))
        return route

    def _find(self, path: str) -> tuple[Mapping[str, Route], Mapping[str, str]] | None:
        if path in self._paths and path not in self._patterns:
            return self._paths[path], {}
        for template, pattern in self._patterns.items():
            if (match := pattern.fullmatch(path)) is not None:
                return self._paths[template], match.groupdict()
        return None


async def respond(context: RequestContext, work: Awaitable[Response]) -> Response:
    """The response of ``work``, or the response to the exception that ended it."""
    try:
        return await work
    except RequestRejected as rejected:
        return rejected.response
    except ValidationFailed as invalid:
        return invalid.response()
    except SandboxClosing:
        raise
    except Exception:
        # The real server has such crashes too: it compares naive with aware times, for example.
        _logger.exception("500 for %s %s", context.record.method, context.record.path)
        return internal_error()


def parse_body(schema: type[SchemaT], context: RequestContext) -> SchemaT:
    """The JSON body of a request. Raises ValidationFailed."""
    return _validated(schema, _json_body(context), "body")


def _validated(schema: type[SchemaT], given: Any, place: str) -> SchemaT:
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        if not isinstance(given, dict) and not error.errors()[0]["type"] == "dict_type":
            raise ValidationFailed([_not_an_object(given)]) from error
        raise ValidationFailed.of(error, place) from error


def _json_body(context: RequestContext) -> Any:
    """The body as FastAPI reads it: JSON when Content-Type says so, else one text."""
    if not context.raw_body:
        missing = {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}
        raise ValidationFailed([missing])
    kind = context.record.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        return context.raw_body.decode(errors="replace")
    try:
        return json.loads(context.raw_body)
    except json.JSONDecodeError as error:
        entry = {
            "type": "json_invalid",
            "loc": ["body", error.pos],
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": error.msg},
        }
        raise ValidationFailed([entry]) from error
    except (ValueError, RecursionError) as error:
        # The body is not UTF-8 (compressed, for example), or it is nested too deep.
        raise RequestRejected(error_response(400, "There was an error parsing the body")) from error


def _not_an_object(given: Any) -> dict[str, Any]:
    return {
        "type": "model_attributes_type",
        "loc": ["body"],
        "msg": "Input should be a valid dictionary or object to extract fields from",
        "input": given,
    }
