"""Model → request, bytes → value or error. Pure: it never touches a socket, a clock or a log."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from typing import Any, Generic, Literal, NamedTuple, TypeVar, cast
from urllib.parse import quote, quote_plus, urlencode

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from reflexio_async._engine.models import Header, Query
from reflexio_async._engine.retry import retry_after
from reflexio_async.errors import (
    STATUS_ERRORS,
    APIStatusError,
    InvalidRequest,
    RequestRefused,
    ServerError,
    UnexpectedResponse,
)

Req = TypeVar("Req", bound=BaseModel)
Res = TypeVar("Res")

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 500  # characters of a server's text that go into an error message


class Hints(NamedTuple):
    """What an error says to do next, in the words of the service's own options."""

    url: str
    key: str


REFLEXIO = Hints(
    url="is the base URL (url_endpoint, REFLEXIO_API_URL) the API host itself?",
    key="pass api_key, set REFLEXIO_API_KEY, or await client.login(email, password)",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What every call of one route has in common.

    ``repeatable``: sending it twice does no harm. ``refusal``: whether ``success: false`` is raised, returned
    like any answer, or never a refusal.
    ``deadline``: seconds the server may take, raising the call's timeout. ``per_minute``: the contract's
    rate limit, a hint for planning. ``query``: sent with every call. ``public``: needs no token.
    """

    method: str
    path: str
    repeatable: bool = False
    refusal: Literal["raise", "return", "never"] = "raise"
    deadline: float | None = None
    per_minute: int | None = None
    query: tuple[tuple[str, str], ...] = ()
    public: bool = False
    form: bool = False
    hints: Hints = REFLEXIO


class EncodedRequest(NamedTuple):
    """One request, ready to be sent; ``path`` is literal and quoted, ``target`` has the query too."""

    method: str
    path: str
    target: str
    body: bytes | None
    content_type: str | None
    headers: tuple[tuple[str, str], ...] = ()


class RawResponse(NamedTuple):
    """One answer; ``headers`` finds names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Answer(Generic[Res]):
    """How the bytes of a 2xx become a value."""

    __slots__ = ("_all_known", "_pick", "_type", "_validate")

    def __init__(self, answer_type: Any, pick: Callable[[Any], Res] | None = None) -> None:
        self._type = answer_type
        self._pick = pick
        self._validate: Callable[..., Any] | None = None
        self._all_known = True  # so far: no server has sent a field that this release does not know

    def decode(self, body: bytes) -> Res:
        """The value in ``body``; raises pydantic's ValidationError."""
        if self._validate is None:
            if rebuild := getattr(self._type, "model_rebuild", None):
                rebuild()  # else the adapter's validator lacks the model's own settings
            self._validate = TypeAdapter(self._type).validator.validate_json
        value = self._read(self._validate, body)
        return value if self._pick is None else self._pick(value)

    def _read(self, validate: Callable[..., Any], body: bytes) -> Any:
        # A dict for the unknown fields of each row, nearly always empty, is a tenth of what a large answer
        # costs. So it is read without them for as long as there are none.
        if self._all_known:
            with suppress(ValidationError):
                return validate(body, extra="forbid")
        value = validate(body)
        self._all_known = False
        return value


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
        elif fault["type"] == "string_unicode":
            said = "must be valid Unicode, and has a lone surrogate"
        elif fault["type"] in ("sequence_str", "is_instance_of") and "equence" in said:
            said = "must be a list, not one of its items"
        faults.setdefault(where, said)
    prefix = f"{name}: " if name else ""
    return prefix + "; ".join(f"{where}: {text}" for where, text in faults.items())


def _is_union_branch(part: str | int) -> bool:
    # Pydantic names the branch of a union as if it were a field: "function-before[…]", "Mapping[str,any]".
    return isinstance(part, str) and ("[" in part or part in ("str", "int", "ToolUsed", "InteractionData"))


class _Layout(NamedTuple):
    """The fields of a request that do not travel in the body."""

    path: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    """Field, and its quoted name on the wire; so in ``headers``."""
    headers: tuple[tuple[str, str], ...]
    elsewhere: set[str] | None
    """All of them."""


@cache
def _layout(request_type: type[BaseModel], path: str) -> _Layout:
    fields = request_type.model_fields
    in_path = tuple(name for _, name, _, _ in string.Formatter().parse(path) if name)
    query: list[tuple[str, str]] = []
    headers: list[tuple[str, str]] = []
    for name, field in fields.items():
        if name in in_path:
            continue
        if any(mark is Query or isinstance(mark, Query) for mark in field.metadata):
            query.append((name, quote_plus(field.serialization_alias or name)))
        else:
            headers.extend((name, mark.name) for mark in field.metadata if isinstance(mark, Header))
    elsewhere = {*in_path, *(name for name, _ in query), *(name for name, _ in headers)}
    return _Layout(in_path, tuple(query), tuple(headers), elsewhere or None)


def encode(endpoint: Endpoint, request: BaseModel) -> EncodedRequest:
    """The request on the wire. Fields that were not set are absent: null means something to this server."""
    try:
        return _encoded(endpoint, request)
    except UnicodeEncodeError:
        message = f"{endpoint.method} {endpoint.path}: the request holds text that is not valid Unicode"
        raise InvalidRequest(message) from None
    except PydanticSerializationError as error:
        message = f"{endpoint.method} {endpoint.path}: the request cannot be written as JSON: {error}"
        raise InvalidRequest(message) from None


def _encoded(endpoint: Endpoint, request: BaseModel) -> EncodedRequest:
    method, path = endpoint.method, endpoint.path
    layout = _layout(type(request), path)
    if layout.path:
        segments = {name: path_segment(name, str(getattr(request, name))) for name in layout.path}
        path = path.format(**segments)
    query = [urlencode(endpoint.query)] if endpoint.query else []
    headers: tuple[tuple[str, str], ...] = ()
    if layout.query or layout.headers:
        given = request.model_fields_set
        for name, wire_name in layout.query:
            if name in given and (value := getattr(request, name)) is not None:
                query += [f"{wire_name}={text}" for text in _in_query(value)]
        headers = tuple(
            (wire_name, _in_header(name, str(value)))
            for name, wire_name in layout.headers
            if name in given and (value := getattr(request, name)) is not None
        )
    body: bytes | None = None
    content_type: str | None = None
    if endpoint.form:
        body = urlencode(request.model_dump(mode="json")).encode()
        content_type = "application/x-www-form-urlencoded"
    elif method != "GET":
        body = request.__pydantic_serializer__.to_json(
            request, by_alias=True, exclude_unset=True, exclude=layout.elsewhere
        )
        content_type = "application/json"
    target = f"{path}?{'&'.join(query)}" if query else path
    return EncodedRequest(method, path, target, body, content_type, headers)


def path_segment(name: str, value: str) -> str:
    """``value`` as it stands in a path; ``name`` says whose it is where it cannot stand in one."""
    if _PLAIN.fullmatch(value):
        return value
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
    if isinstance(value, int):
        return [str(value)]
    if isinstance(value, list | tuple):
        return [text for one in cast("list[Any]", value) for text in _in_query(one)]
    return [quote_plus(value.isoformat() if isinstance(value, datetime) else str(value))]


def decode(
    endpoint: Endpoint, answer: Answer[Res], response: RawResponse, redact: Callable[[str], str] = str
) -> Res:
    """The value of a 2xx answer, or UnexpectedResponse, or RequestRefused if it is nothing else."""
    try:
        return answer.decode(response.body)
    except ValidationError as error:
        refusal = _refusal_without_fields(endpoint, response, redact)
        raise refusal or _unexpected_body(endpoint, response, error) from None


def _refusal_without_fields(
    endpoint: Endpoint, response: RawResponse, redact: Callable[[str], str]
) -> RequestRefused | None:
    """Some routes refuse without the fields that their answer otherwise must have."""
    from reflexio_async._engine.error_bodies import Refusal  # noqa: PLC0415  # rarely needed, slow to load

    try:
        return refusal_of(endpoint, Refusal.model_validate_json(response.body, strict=True), redact)
    except ValidationError:
        return None


def refusal_of(endpoint: Endpoint, value: Any, redact: Callable[[str], str] = str) -> RequestRefused | None:
    """The error for an answer that says ``success: false``."""
    if endpoint.refusal == "never" or getattr(value, "success", True) is not False:
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
    request: EncodedRequest,
    response: RawResponse,
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
        message = f"{call}: {response.url} answered {status}, {what}; {endpoint.hints.url}"
        return UnexpectedResponse(message, url=response.url, status=status)
    said, nothing_admitted = _what_it_said(response)
    said = redact(said)
    message = (
        f"{call} answered {status}" + (f": {said}" if said else "") + _next_step(response, said, endpoint)
    )
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


def _what_it_said(response: RawResponse) -> tuple[str, bool]:
    """The server's own words without echoed input, and whether a 503 says that nothing was admitted."""
    from reflexio_async._engine.error_bodies import Problem  # noqa: PLC0415  # rarely needed, slow to load

    try:
        said = str(Problem.model_validate_json(response.body))
    except ValidationError:
        kind = response.headers.get("Content-Type", "").split(";")[0].strip()
        if kind == "text/plain":
            return _clipped(response.body.decode(errors="replace").strip()), False
        return f"({kind or 'no content type'})", False
    return _clipped(said), response.status == 503 and bool(said)


def _next_step(response: RawResponse, said: str, endpoint: Endpoint) -> str:
    status = response.status
    if status == 401:
        return f" ({endpoint.hints.key})"
    if status == 403 and "user agent" in said.lower():
        return " (choose another user_agent)"
    if status == 404 and (said == "Not Found" or said.startswith("(")):
        # Nobody of this API said it: a server without this call, or another server altogether.
        where = response.url.partition("?")[0]
        return f" (from {where}; does this server have {endpoint.path}? {endpoint.hints.url})"
    return ""


def _unexpected_body(endpoint: Endpoint, response: RawResponse, error: ValidationError) -> UnexpectedResponse:
    call = f"{endpoint.method} {endpoint.path}: {response.url} answered {response.status}"
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        kind = response.headers.get("Content-Type") or "no content type"
        message = f"{call} with {kind} that is not JSON ({len(response.body)} bytes); {endpoint.hints.url}"
    else:
        message = f"{call} with JSON of another shape; {describe_validation(error, 'the answer')}"
    return UnexpectedResponse(message, url=response.url, status=response.status)


def _clipped(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
