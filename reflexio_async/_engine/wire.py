"""From a request model to bytes, and from bytes to a response model or an error.

These are pure functions: they use no socket, no clock and no log.
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime
from functools import cache, cached_property
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
    get_origin,
)
from urllib.parse import quote, quote_plus, urlencode

from pydantic import BaseModel, FailFast, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from reflexio_async._engine.error_bodies import RefusalBody, beginning_of, reason_in
from reflexio_async._engine.models import Header, Query
from reflexio_async._engine.retry import retry_after
from reflexio_async._engine.validation import describe, is_not_json
from reflexio_async.errors import (
    STATUS_ERRORS,
    APIStatusError,
    InvalidRequest,
    RequestRefused,
    ServerError,
    UnexpectedResponse,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reflexio_async._engine.service import Service

MemoryOperation: TypeAlias = Literal[
    "search_memory",
    "create_memory",
    "update_memory",
    "upsert_memory",
    "delete_memory",
    "delete_memory_store",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_SAFE_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")  # needs no quoting in a path
_MAX_TEXT = 500  # characters of a server's text in an error message
_MAX_HEADER = 100  # characters of a header in an error message


@dataclass(frozen=True, eq=False)
class Endpoint(Generic[T_co]):
    """What is sent, and how the response is read.

    Args:
        method: The HTTP method.
        path: The path, with the names of request fields in braces.
        response: The type of a 2xx response's body.
        repeatable: Sending it twice does no harm, although it is a POST or a PATCH. That of the other methods
            never does.
        refusal: Whether ``success: false`` raises RequestRefused or is returned like any response.
        deadline: Seconds that the server may take. They raise the call's timeout.
        per_minute: The rate limit in the server's contract, a hint for planning.
        query: Parameters sent with every call.
        public: It needs no credential.
        form: The body is a form, not JSON.
        invalidates: The paths whose cached responses this call makes stale.
        successor: The call that replaces it on newer servers. An error names it when the server does not
            have this one.
        writes: Whether it changes something at the server, and so outlasts an outage. None: unless it is a
            GET, or a POST that may be repeated (a search).
        memory: What it does with an agent's memory, in the words of OpenTelemetry's conventions for
            generative AI; None: something else.
        read_accepted: Reads the body of a 202, where that does not mean the same as a 200. It raises
            pydantic's ValidationError.
    """

    method: str
    path: str
    response: type[T_co]
    _: KW_ONLY
    repeatable: bool = False
    refusal: Literal["raise", "return"] = "raise"
    deadline: float | None = None
    per_minute: int | None = None
    query: tuple[tuple[str, str], ...] = ()
    public: bool = False
    form: bool = False
    invalidates: tuple[str, ...] = ()
    successor: str = ""
    writes: bool | None = None
    memory: MemoryOperation | None = None
    read_accepted: Callable[[bytes], T_co] | None = None

    @property
    def is_write(self) -> bool:
        """Whether it changes something at the server."""
        if self.writes is not None:
            return self.writes
        searches = self.method == "POST" and self.may_repeat and not self.invalidates
        return self.method != "GET" and not searches

    @cached_property
    def may_repeat(self) -> bool:
        """Whether sending it twice does no harm."""
        return self.repeatable or self.method in ("GET", "PUT", "DELETE")

    def or_none(self) -> Endpoint[T_co | None]:
        """The same endpoint, whose response may be null."""
        nullable: Any = self.response | None
        return replace(self, response=nullable)

    @cached_property
    def read(self) -> Callable[[bytes], T_co]:
        """The function that reads the body of a 2xx response; it raises pydantic's ValidationError."""
        response: Any = self.response
        if isinstance(response, UnionType):  # of ``or_none``
            null: Any = None
            read: Any = replace(self, response=get_args(response)[0]).read
            return lambda body: null if body.strip() == b"null" else read(body)
        if get_origin(response) is list:
            # The first bad entry says enough: a long list of them would take seconds.
            response = Annotated[response, FailFast()]
        return TypeAdapter(response).validator.validate_json


class EncodedRequest(NamedTuple):
    """One request, ready to be sent. ``path`` is quoted; ``target`` is the path with the query."""

    method: str
    path: str
    target: str
    body: bytes | None
    content_type: str | None
    headers: Sequence[tuple[str, str]] = ()

    def __repr__(self) -> str:
        # Tools that show the variables of a traceback must not show credentials and the texts of users.
        return f"<EncodedRequest {self.method} {self.path}>"


class RawResponse(NamedTuple):
    """One response as it came. The keys of ``headers`` are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    proxy: str | None = None
    """The proxy that may have sent it in place of the server."""

    def __repr__(self) -> str:
        return f"<RawResponse {self.status}, {len(self.body)} bytes>"


class _Layout(NamedTuple):
    """Where the fields of a request are sent."""

    path: tuple[str, ...]
    """The fields in the path."""
    query: dict[str, str]
    """Field name → quoted name in the query string."""
    headers: dict[str, str]
    """Field name → name of the header."""
    outside: set[str]
    """All of these fields. The others are sent in the body."""
    to_json: Callable[..., bytes]
    """Writes the body."""


@cache
def _layout(request_type: type[BaseModel], path: str) -> _Layout:
    in_path = tuple(re.findall(r"{(\w+)}", path))
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    for name, field in request_type.model_fields.items():
        if name in in_path:
            continue
        for marker in field.metadata:
            if isinstance(marker, Query):
                query[name] = quote_plus(field.serialization_alias or name)
            elif isinstance(marker, Header):
                headers[name] = marker.name
    outside = {*in_path, *query, *headers}
    return _Layout(in_path, query, headers, outside, TypeAdapter(request_type).serializer.to_json)


def encode(endpoint: Endpoint[Any], request: BaseModel) -> EncodedRequest:
    """Return ``request`` as it is sent.

    Fields that were not set are left out, because the server gives null a meaning
    (server-behaviour: Null and absent keys, Status filters).

    Raises:
        InvalidRequest: A field cannot be written as JSON, in a path or in a header.
    """
    try:
        return _encode(endpoint, request)
    except UnicodeEncodeError:
        message = f"{endpoint.method} {endpoint.path}: the request holds text that is not valid Unicode"
        raise InvalidRequest(message) from None
    except PydanticSerializationError as error:
        message = f"{endpoint.method} {endpoint.path}: the request cannot be written as JSON: {error}"
        raise InvalidRequest(message) from None


def _encode(endpoint: Endpoint[Any], request: BaseModel) -> EncodedRequest:
    method, path = endpoint.method, endpoint.path
    layout = _layout(type(request), path)
    if layout.path:
        path = path.format(**{name: path_segment(name, str(getattr(request, name))) for name in layout.path})
    given = request.model_fields_set
    query = [urlencode(endpoint.query)] if endpoint.query else []
    for name, parameter in layout.query.items():
        if name in given and (value := getattr(request, name)) is not None:
            query += [f"{parameter}={text}" for text in _query_texts(value)]
    headers = [
        (header, _header_text(name, str(value)))
        for name, header in layout.headers.items()
        if name in given and (value := getattr(request, name)) is not None
    ]
    body: bytes | None = None
    content_type: str | None = None
    if endpoint.form:
        body = urlencode(request.model_dump(mode="json", by_alias=True)).encode()
        content_type = "application/x-www-form-urlencoded"
    elif method != "GET":
        body = layout.to_json(
            request, by_alias=True, exclude_unset=True, exclude=layout.outside & given or None
        )
        content_type = "application/json"
    target = f"{path}?{'&'.join(query)}" if query else path
    return EncodedRequest(method, path, target, body, content_type, headers)


def path_segment(name: str, value: str) -> str:
    """Return ``value`` quoted for a path.

    Raises:
        InvalidRequest: It cannot be part of a path. The message names the field, ``name``.
    """
    if _SAFE_SEGMENT.fullmatch(value):
        return value
    if value in ("", ".", ".."):
        # Servers and proxies resolve dots even when they are percent-encoded.
        message = f"{name} must be an id, not {value!r}"
        raise InvalidRequest(message)
    return quote(value, safe="")


def _header_text(name: str, value: str) -> str:
    if not value.isascii() or not value.isprintable():
        message = f"{name} is sent in a header: it must be one line of printable ASCII text"
        raise InvalidRequest(message)
    return value


def _query_texts(value: Any) -> list[str]:
    """The quoted texts of one parameter. A list repeats the parameter."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, int):
        return [str(value)]
    if isinstance(value, list | tuple):
        return [text for item in cast("list[Any]", value) for text in _query_texts(item)]
    return [quote_plus(value.isoformat() if isinstance(value, datetime) else str(value))]


def decode(
    endpoint: Endpoint[T], service: Service, response: RawResponse, redact: Callable[[str], str] = str
) -> T:
    """Return the value of a 2xx response. ``redact`` removes secrets from the server's text.

    Raises:
        RequestRefused: The body says ``success: false`` and lacks other fields of the response.
        UnexpectedResponse: The body has another shape.
    """
    read = endpoint.read
    if response.status == 202 and endpoint.read_accepted is not None:
        read = endpoint.read_accepted
    try:
        return read(response.body)
    except ValidationError as error:
        refusal = _incomplete_refusal(endpoint, service, response, redact)
        raise refusal or _unexpected_body(endpoint, service, response, error, redact) from None


def _incomplete_refusal(
    endpoint: Endpoint[Any], service: Service, response: RawResponse, redact: Callable[[str], str]
) -> RequestRefused | None:
    """The error for a refusal that lacks the other fields of the response, as some calls send it."""
    try:
        body = RefusalBody.model_validate_json(response.body, strict=True)
    except ValidationError:
        return None
    return refusal_of(endpoint, service, body, redact)


def refusal_of(
    endpoint: Endpoint[Any], service: Service, value: Any, redact: Callable[[str], str] = str
) -> RequestRefused | None:
    """Return the error for a response that says ``success: false``, or None for any other."""
    if not service.refuses or getattr(value, "success", True) is not False:
        return None
    text = refusal_text(value, redact)
    message = f"{endpoint.method} {endpoint.path} was refused: {text or 'the server gave no reason'}"
    return RequestRefused(message, response=value)


def refusal_text(value: Any, redact: Callable[[str], str] = str) -> str:
    """The reason in a refusal. Some calls return a traceback; its last line is enough."""
    text = str(getattr(value, "msg", None) or getattr(value, "message", None) or "").strip()
    return printable(redact(text.splitlines()[-1] if text.startswith("Traceback") else text), _MAX_TEXT)


def error_for(
    endpoint: Endpoint[Any],
    service: Service,
    request: EncodedRequest,
    response: RawResponse,
    *,
    now: float,
    redact: Callable[[str], str] = str,
) -> APIStatusError | UnexpectedResponse:
    """Return the error for a response that is not a 2xx.

    Args:
        endpoint: The endpoint.
        service: The service, for its hints.
        request: The request.
        response: The response.
        now: Epoch seconds, to read an HTTP date in ``Retry-After``.
        redact: Removes secrets from the server's text.
    """
    status, call = response.status, f"{request.method} {request.path}"
    if not 400 <= status < 600:
        location = printable(redact(response.headers.get("Location", "")), _MAX_TEXT)
        what = f"a redirect to {location}" if location else "a status that this API never sends"
        message = f"{call}: {response.url} answered {status}, {what}; {service.url_hint}"
        return UnexpectedResponse(message, url=response.url, status=status, foreign=True)
    reason, from_api = reason_in(response.body, redact)
    text = _text_without_reason(response, redact) if reason is None else reason
    text = printable(text.strip(), _MAX_TEXT)
    message = (
        f"{call} answered {status}"
        + (f": {text}" if text else "")
        + _hint(response, text, endpoint, service)
        + _proxy_hint(response)
    )
    error_type: type[APIStatusError] = STATUS_ERRORS.get(
        status, ServerError if status >= 500 else APIStatusError
    )
    return error_type(
        message,
        status=status,
        method=request.method,
        path=request.path,
        server_message=text,
        headers=response.headers,
        retry_after=retry_after(response.headers, now),
        outcome_unknown=status >= 500
        and not (status == 503 and reason),  # a 503 with a reason admitted nothing
        from_api=from_api,
    )


def _text_without_reason(response: RawResponse, redact: Callable[[str], str]) -> str:
    """The text of an error body that has none of the known shapes; else its content type."""
    content_type = response.headers.get("Content-Type", "").split(";")[0].strip()
    if content_type == "text/plain":
        return beginning_of(response.body, redact)
    return f"({printable(redact(content_type), _MAX_HEADER) or 'no content type'})"


def _hint(response: RawResponse, text: str, endpoint: Endpoint[Any], service: Service) -> str:
    """What the user should check, in parentheses; or nothing."""
    status = response.status
    if status == 401:
        return f" ({service.key_hint})"
    if status == 403 and "user agent" in text.lower():
        return " (choose another user_agent)"
    if status == 404 and text == "Not Found" and endpoint.successor:
        return f" (this server does not have this call; newer servers have {endpoint.successor})"
    if status == 404 and (text == "Not Found" or text.startswith("(")):
        # This is not a 404 of a call: the server does not have the call, or it is another server.
        where = response.url.partition("?")[0]
        return f" (from {where}; does this server have {endpoint.path}? {service.url_hint})"
    if status == 400 and response.url.lower().startswith("http:") and b"https" in response.body.lower():
        return " (is it https:// rather than http://?)"
    return ""


def _proxy_hint(response: RawResponse) -> str:
    status, proxy = response.status, response.proxy
    if proxy is not None and status == 407:
        return f" (the proxy {proxy} asks for credentials: proxy='http://user:password@host:port')"
    if proxy is not None and (status == 403 or status >= 500):
        return f" (the server, or the proxy {proxy})"
    return ""


def _unexpected_body(
    endpoint: Endpoint[Any],
    service: Service,
    response: RawResponse,
    error: ValidationError,
    redact: Callable[[str], str],
) -> UnexpectedResponse:
    call = f"{endpoint.method} {endpoint.path}: {response.url} answered {response.status}"
    foreign = is_not_json(error)
    if foreign:
        content_type = redact(response.headers.get("Content-Type", ""))
        shown = printable(content_type, _MAX_HEADER) or "no content type"
        size = len(response.body)
        message = f"{call} with {shown} that is not JSON ({size} bytes); {service.url_hint}"
    else:
        faults = printable(redact(describe(error)), _MAX_TEXT)
        message = f"{call} with JSON of another shape; the response: {faults}"
    return UnexpectedResponse(message, url=response.url, status=response.status, foreign=foreign)
