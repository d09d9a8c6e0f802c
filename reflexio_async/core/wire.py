"""Model → request, bytes → value or error. Pure: it never touches a socket, a clock or a log."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import Enum
from functools import cache
from typing import Any, Generic, Literal, NamedTuple, TypeVar, cast
from urllib.parse import quote, urlencode

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from reflexio_async.core.retry import retry_after
from reflexio_async.errors import (
    STATUS_ERRORS,
    APIStatusError,
    InvalidRequest,
    RequestRefused,
    ServerError,
    UnexpectedResponse,
)
from reflexio_async.models.marks import Header, Query

Req = TypeVar("Req", bound=BaseModel)
Res = TypeVar("Res")

_WHERE = "is the base URL (url_endpoint, REFLEXIO_API_URL) the API host itself?"
_SHOWN = 500  # characters of a server's text that go into an error message


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What every call of one route has in common.

    ``repeatable``: sending it twice does no harm. ``refusal``: whether ``success: false`` is an error.
    ``deadline``: seconds the server may take, raising the call's timeout. ``per_minute``: the contract's
    rate limit, a hint for planning. ``query``: sent with every call. ``public``: needs no token.
    """

    method: str
    path: str
    repeatable: bool = False
    refusal: Literal["raise", "return"] = "raise"
    deadline: float | None = None
    per_minute: int | None = None
    query: tuple[tuple[str, str], ...] = ()
    public: bool = False
    form: bool = False


class WireRequest(NamedTuple):
    """One request, ready to be sent; ``path`` is literal and quoted, ``target`` has the query too."""

    method: str
    path: str
    target: str
    body: bytes | None
    content_type: str | None
    headers: tuple[tuple[str, str], ...] = ()


class WireResponse(NamedTuple):
    """One answer; ``headers`` finds names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Answer(Generic[Res]):
    """How the bytes of a 2xx become a value."""

    __slots__ = ("_adapter", "_pick", "_type")

    def __init__(self, answer_type: Any, pick: Callable[[Any], Res] | None = None) -> None:
        self._type = answer_type
        self._pick = pick
        self._adapter: TypeAdapter[Any] | None = None

    def decode(self, body: bytes) -> Res:
        """The value in ``body``; raises pydantic's ValidationError."""
        if self._adapter is None:
            self._adapter = TypeAdapter(self._type)
        value = self._adapter.validate_json(body)
        return value if self._pick is None else self._pick(value)


def model(answer_type: type[Res]) -> Answer[Res]:
    """The whole answer, as ``answer_type``."""
    return Answer(answer_type)


def picked(answer_type: type[Req], pick: Callable[[Req], Res]) -> Answer[Res]:
    """One part of the answer."""
    return Answer(answer_type, pick)


def build_request(request_type: type[Req], given: Mapping[str, Any] | Req, name: str = "") -> Req:
    """``given`` as a ``request_type``, or an InvalidRequest that names every field at fault."""
    if isinstance(given, request_type):
        return given
    if isinstance(given, BaseModel) or not isinstance(given, Mapping):
        prefix = f"{name}: " if name else ""
        kind = type(given).__name__
        message = f"{prefix}request must be a {request_type.__name__} or a mapping, not {kind}"
        raise InvalidRequest(message)
    try:
        return request_type.model_validate(dict(given))
    except ValidationError as error:
        known = request_type.model_fields
        raise InvalidRequest(describe_validation(error, name, known)) from None


def describe_validation(error: ValidationError, name: str, known: Iterable[str] = ()) -> str:
    """Each field at fault and what was expected of it, without the values; ``known`` are the right names."""
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in fault["loc"] if not _is_union_branch(part)) or "the request"
        said = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            close = get_close_matches(where, known, n=1) if "." not in where else []
            said = "there is no such field" + (f"; did you mean {close[0]}?" if close else "")
        elif fault["type"] in ("sequence_str", "is_instance_of") and "equence" in said:
            said = "must be a list, not one of its items"
        faults.setdefault(where, said)
    prefix = f"{name}: " if name else ""
    return prefix + "; ".join(f"{where}: {text}" for where, text in faults.items())


def _is_union_branch(part: str | int) -> bool:
    # Pydantic names the branch of a union as if it were a field: "function-before[…]", "Mapping[str,any]".
    return isinstance(part, str) and ("[" in part or part in ("str", "int", "ToolUsed", "InteractionData"))


class _Place(Enum):
    PATH = 1
    QUERY = 2
    HEADER = 3


@cache
def _places(request_type: type[BaseModel], path: str) -> tuple[tuple[str, str, _Place], ...]:
    """The fields that do not travel in the body: (field, name on the wire, place)."""
    in_path = {name for _, name, _, _ in string.Formatter().parse(path) if name}
    places: list[tuple[str, str, _Place]] = []
    for name, field in request_type.model_fields.items():
        if name in in_path:
            places.append((name, name, _Place.PATH))
        elif any(mark is Query or isinstance(mark, Query) for mark in field.metadata):
            places.append((name, field.serialization_alias or name, _Place.QUERY))
        else:
            headers = [mark.name for mark in field.metadata if isinstance(mark, Header)]
            places.extend((name, header, _Place.HEADER) for header in headers)
    return tuple(places)


@cache
def _elsewhere(request_type: type[BaseModel], path: str) -> set[str] | None:
    return {name for name, _, _ in _places(request_type, path)} or None


def encode(endpoint: Endpoint, request: BaseModel) -> WireRequest:
    """The request on the wire. Fields that were not set are absent: null means something to this server."""
    try:
        return _encoded(endpoint, request)
    except UnicodeEncodeError:
        message = f"{endpoint.method} {endpoint.path}: the request holds text that is not valid Unicode"
        raise InvalidRequest(message) from None
    except PydanticSerializationError as error:
        message = f"{endpoint.method} {endpoint.path}: the request cannot be written as JSON: {error}"
        raise InvalidRequest(message) from None


def _encoded(endpoint: Endpoint, request: BaseModel) -> WireRequest:
    request_type = type(request)
    path, query = endpoint.path, list(endpoint.query)
    places = _places(request_type, endpoint.path)
    headers: list[tuple[str, str]] = []
    if places:
        in_path: dict[str, str] = {}
        for name, wire_name, place in places:
            value = getattr(request, name)
            if place is _Place.PATH:
                in_path[name] = _path_segment(name, str(value))
            elif name in request.model_fields_set and value is not None:
                if place is _Place.QUERY:
                    query.extend((wire_name, text) for text in _in_query(value))
                else:
                    headers.append((wire_name, _in_header(name, str(value))))
        if in_path:
            path = path.format(**in_path)
    target = f"{path}?{urlencode(query)}" if query else path
    body: bytes | None = None
    content_type: str | None = None
    if endpoint.form:
        body = urlencode(request.model_dump(mode="json")).encode()
        content_type = "application/x-www-form-urlencoded"
    elif endpoint.method != "GET":
        body = request.__pydantic_serializer__.to_json(
            request, by_alias=True, exclude_unset=True, exclude=_elsewhere(request_type, endpoint.path)
        )
        content_type = "application/json"
    return WireRequest(endpoint.method, path, target, body, content_type, tuple(headers))


def _path_segment(name: str, value: str) -> str:
    if value in ("", ".", ".."):
        # Servers and proxies resolve dots even when they are percent-encoded.
        message = f"{name} must be an id, not {value!r}"
        raise InvalidRequest(message)
    return quote(value, safe="")


def _in_header(name: str, value: str) -> str:
    if not value.isascii() or not value.isprintable():
        message = f"{name} travels in a header: it must be one line of printable ASCII text"
        raise InvalidRequest(message)
    return value


def _in_query(value: Any) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, datetime):
        return [value.isoformat()]
    if isinstance(value, list | tuple):
        return [text for one in cast("list[Any]", value) for text in _in_query(one)]
    return [str(value)]


def decode(
    endpoint: Endpoint, answer: Answer[Res], response: WireResponse, redact: Callable[[str], str] = str
) -> Res:
    """The value of a 2xx answer, or UnexpectedResponse, or RequestRefused if it is nothing else."""
    try:
        return answer.decode(response.body)
    except ValidationError as error:
        refusal = _refusal_without_fields(endpoint, response, redact)
        raise refusal or _unexpected_body(endpoint, response, error) from None


def _refusal_without_fields(
    endpoint: Endpoint, response: WireResponse, redact: Callable[[str], str]
) -> RequestRefused | None:
    """Some routes refuse without the fields that their answer otherwise must have."""
    from reflexio_async.models.problems import Refusal  # noqa: PLC0415  # rarely needed, slow to load

    try:
        return refusal_of(endpoint, Refusal.model_validate_json(response.body, strict=True), redact)
    except ValidationError:
        return None


def refusal_of(endpoint: Endpoint, value: Any, redact: Callable[[str], str] = str) -> RequestRefused | None:
    """The error for an answer that says ``success: false``."""
    if getattr(value, "success", True) is not False:
        return None
    text = redact(refusal_text(value))
    message = f"{endpoint.method} {endpoint.path} was refused: {text or 'the server gave no reason'}"
    return RequestRefused(message, response=value)


def refusal_text(value: Any) -> str:
    """What a refusing answer says; of a traceback, which some routes return, only its last line."""
    text = str(getattr(value, "msg", None) or getattr(value, "message", None) or "").strip()
    return _clipped(text.splitlines()[-1] if text.startswith("Traceback") else text)


def error_for(
    endpoint: Endpoint,
    request: WireRequest,
    response: WireResponse,
    *,
    now: float,
    redact: Callable[[str], str] = str,
) -> APIStatusError | UnexpectedResponse:
    """The typed error of an answer that is not a 2xx.

    ``now`` is in epoch seconds; ``redact`` takes secrets out of what the server said.
    """
    status, call = response.status, f"{request.method} {request.path}"
    if not 400 <= status < 600:
        location = response.headers.get("Location")
        what = f"a redirect to {redact(location)}" if location else "an answer this API never gives"
        message = f"{call}: {response.url} answered {status}, {what}; {_WHERE}"
        return UnexpectedResponse(message, url=response.url, status=status)
    said, nothing_admitted = _what_it_said(response)
    said = redact(said)
    message = f"{call} answered {status}" + (f": {said}" if said else "") + _next_step(status, said, endpoint)
    error_type: type[APIStatusError] = STATUS_ERRORS.get(
        status, ServerError if status >= 500 else APIStatusError
    )
    return error_type(
        message,
        status=status,
        method=request.method,
        path=request.path,
        server_message=said,
        headers=response.headers,
        retry_after=retry_after(response.headers, now),
        outcome_unknown=status >= 500 and not nothing_admitted,
    )


def _what_it_said(response: WireResponse) -> tuple[str, bool]:
    """The server's own words without echoed input, and whether a 503 says that nothing was admitted."""
    from reflexio_async.models.problems import Problem  # noqa: PLC0415  # rarely needed, slow to load

    try:
        said = str(Problem.model_validate_json(response.body))
    except ValidationError:
        kind = response.headers.get("Content-Type", "").split(";")[0].strip()
        if kind == "text/plain":
            return _clipped(response.body.decode(errors="replace").strip()), False
        return f"({kind or 'no content type'})", False
    return _clipped(said), response.status == 503 and bool(said)


def _next_step(status: int, said: str, endpoint: Endpoint) -> str:
    if status == 401:
        return " (pass api_key, set REFLEXIO_API_KEY, or await client.login(email, password))"
    if status == 403 and "user agent" in said.lower():
        return " (choose another user_agent)"
    if status == 404 and said == "Not Found":
        return f" (does this server have {endpoint.path}? is the base URL the API host?)"
    return ""


def _unexpected_body(
    endpoint: Endpoint, response: WireResponse, error: ValidationError
) -> UnexpectedResponse:
    call = f"{endpoint.method} {endpoint.path}: {response.url} answered {response.status}"
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        kind = response.headers.get("Content-Type") or "no content type"
        message = f"{call} with {kind} that is not JSON ({len(response.body)} bytes); {_WHERE}"
    else:
        message = f"{call} with JSON of another shape; {describe_validation(error, 'the answer')}"
    return UnexpectedResponse(message, url=response.url, status=response.status)


def _clipped(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
