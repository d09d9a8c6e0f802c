"""Model → request, bytes → value or error. Pure: it never touches a socket, a clock or a log."""

from __future__ import annotations

import re
import string
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar, cast
from urllib.parse import quote, quote_plus, urlencode

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from reflexio_async._engine.models import Header, Query
from reflexio_async._engine.retry import retry_after
from reflexio_async._engine.validation import describe
from reflexio_async.errors import (
    STATUS_ERRORS,
    APIStatusError,
    InvalidRequest,
    RequestRefused,
    ServerError,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reflexio_async._engine.service import Service

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 500  # characters of a server's text that go into an error message


@dataclass(frozen=True)
class Endpoint(Generic[T_co]):
    """What is sent, and how the response is read.

    Args:
        method: The HTTP method.
        path: The path, with the names of request fields in braces.
        response: The type of a 2xx response's body.
        repeatable: Sending it twice does no harm; None: only for GET.
        refusal: Whether ``success: false`` raises RequestRefused or is returned like any response.
        deadline: Seconds that the server may take. They raise the call's timeout.
        per_minute: The contract's rate limit, a hint for planning.
        query: Parameters sent with every call.
        public: It needs no credential.
        form: The body is a form, not JSON.
        invalidates: The paths whose cached responses this call makes stale.
        successor: The call that replaces it on newer servers, named when the server does not have this one.
    """

    method: str
    path: str
    response: type[T_co]
    _: KW_ONLY
    repeatable: bool | None = None
    refusal: Literal["raise", "return"] = "raise"
    deadline: float | None = None
    per_minute: int | None = None
    query: tuple[tuple[str, str], ...] = ()
    public: bool = False
    form: bool = False
    invalidates: tuple[str, ...] = ()
    successor: str = ""

    @property
    def may_repeat(self) -> bool:
        """Whether sending it twice does no harm."""
        return self.method == "GET" if self.repeatable is None else self.repeatable

    def or_none(self) -> Endpoint[T_co | None]:
        """The same endpoint, whose response may be null."""
        nullable: Any = self.response | None
        return replace(self, response=nullable)

    @cached_property
    def read(self) -> Callable[[bytes], T_co]:
        """Reads the body of a 2xx response; raises pydantic's ValidationError."""
        return TypeAdapter(self.response).validate_json


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


def encode(endpoint: Endpoint[Any], request: BaseModel) -> EncodedRequest:
    """The request on the wire. Fields that were not set are absent: null means something to this server."""
    try:
        return _encoded(endpoint, request)
    except UnicodeEncodeError:
        message = f"{endpoint.method} {endpoint.path}: the request holds text that is not valid Unicode"
        raise InvalidRequest(message) from None
    except PydanticSerializationError as error:
        message = f"{endpoint.method} {endpoint.path}: the request cannot be written as JSON: {error}"
        raise InvalidRequest(message) from None


def _encoded(endpoint: Endpoint[Any], request: BaseModel) -> EncodedRequest:
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
        body = urlencode(request.model_dump(mode="json", by_alias=True)).encode()
        content_type = "application/x-www-form-urlencoded"
    elif method != "GET":
        body = request.model_dump_json(by_alias=True, exclude_unset=True, exclude=layout.elsewhere).encode()
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
    endpoint: Endpoint[T], service: Service, response: RawResponse, redact: Callable[[str], str] = str
) -> T:
    """The value of a 2xx response, or UnexpectedResponse, or RequestRefused if it is nothing else."""
    try:
        return endpoint.read(response.body)
    except ValidationError as error:
        refusal = _refusal_without_fields(endpoint, service, response, redact)
        raise refusal or _unexpected_body(endpoint, service, response, error) from None


def _refusal_without_fields(
    endpoint: Endpoint[Any], service: Service, response: RawResponse, redact: Callable[[str], str]
) -> RequestRefused | None:
    """Some routes refuse without the fields that their answer otherwise must have."""
    from reflexio_async._engine.error_bodies import Refusal  # noqa: PLC0415  # rarely needed, slow to load

    try:
        return refusal_of(endpoint, service, Refusal.model_validate_json(response.body, strict=True), redact)
    except ValidationError:
        return None


def refusal_of(
    endpoint: Endpoint[Any], service: Service, value: Any, redact: Callable[[str], str] = str
) -> RequestRefused | None:
    """The error for a response that says ``success: false``."""
    if not service.refuses or getattr(value, "success", True) is not False:
        return None
    text = redact(refusal_text(value))
    message = f"{endpoint.method} {endpoint.path} was refused: {text or 'the server gave no reason'}"
    return RequestRefused(message, response=value)


def refusal_text(value: Any) -> str:
    """What a refusing answer says; of a traceback, which some routes return, only its last line."""
    text = str(getattr(value, "msg", None) or getattr(value, "message", None) or "").strip()
    return _clipped(text.splitlines()[-1] if text.startswith("Traceback") else text)


def error_for(
    endpoint: Endpoint[Any],
    service: Service,
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
        message = f"{call}: {response.url} answered {status}, {what}; {service.url_hint}"
        return UnexpectedResponse(message, url=response.url, status=status)
    said, nothing_admitted = _what_it_said(response)
    said = redact(said)
    message = (
        f"{call} answered {status}"
        + (f": {said}" if said else "")
        + _next_step(response, said, endpoint, service)
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


def _next_step(response: RawResponse, said: str, endpoint: Endpoint[Any], service: Service) -> str:
    status = response.status
    if status == 401:
        return f" ({service.key_hint})"
    if status == 403 and "user agent" in said.lower():
        return " (choose another user_agent)"
    if status == 404 and said == "Not Found" and endpoint.successor:
        return f" (this server does not have this call; today's is {endpoint.successor})"
    if status == 404 and (said == "Not Found" or said.startswith("(")):
        # Nobody of this API said it: a server without this call, or another server altogether.
        where = response.url.partition("?")[0]
        return f" (from {where}; does this server have {endpoint.path}? {service.url_hint})"
    return ""


def _unexpected_body(
    endpoint: Endpoint[Any], service: Service, response: RawResponse, error: ValidationError
) -> UnexpectedResponse:
    call = f"{endpoint.method} {endpoint.path}: {response.url} answered {response.status}"
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        kind = response.headers.get("Content-Type") or "no content type"
        message = f"{call} with {kind} that is not JSON ({len(response.body)} bytes); {service.url_hint}"
    else:
        message = f"{call} with JSON of another shape; the response: {describe(error)}"
    return UnexpectedResponse(message, url=response.url, status=response.status)


def _clipped(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
