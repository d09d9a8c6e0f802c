"""The bodies of error responses (server-behaviour: Refusals).

A 422 response repeats the input. Reading it with these models drops that. Only the beginning of a body is
read: an error page may be megabytes long.
"""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json

_READ = 16 * 1024  # bytes of an error body that are read
_LONGEST_SECRET = 4096  # characters; the end of a body that was cut off may be the beginning of a secret


class FieldError(BaseModel):
    """One field that the server refused."""

    model_config = ConfigDict(defer_build=True)

    loc: tuple[str | int, ...] = ()
    msg: str = ""

    def __str__(self) -> str:
        where = ".".join(str(part) for part in self.loc if part != "body")
        return f"{where}: {self.msg}" if where else self.msg


class ErrorDetail(BaseModel):
    """A reason as an object, as some calls give it."""

    model_config = ConfigDict(defer_build=True)

    message: str | None = None
    error: str | None = None
    reason: str | None = None
    hint: str | None = None
    operation_id: str | None = None
    validation_errors: list[FieldError] = Field(default_factory=list[FieldError])

    def __str__(self) -> str:
        fields = map(str, self.validation_errors)
        parts = (self.message, self.error, self.reason, *fields, self.hint, self.operation_id)
        return "; ".join(part for part in parts if part)


class ErrorBody(BaseModel):
    """The body of an error: FastAPI's ``detail`` in its three shapes, or ``error`` of the rate limiter."""

    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)

    detail: list[FieldError] | ErrorDetail | str | None = None
    error: str | None = None
    message: str | None = None

    def __str__(self) -> str:
        detail = self.detail
        text = "; ".join(map(str, detail)) if isinstance(detail, list) else str(detail or "")
        return text or self.error or self.message or ""


class RefusalBody(BaseModel):
    """The body of a refusal that lacks the other fields of the call's response."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True, defer_build=True)

    success: Literal[False]
    msg: str | None = None
    message: str | None = None


def read_json(body: bytes) -> Any:
    """The JSON value of an error body. Of a long one: what is complete in its beginning.

    Raises:
        ValueError: It is not JSON.
    """
    return from_json(body[:_READ], allow_partial=len(body) > _READ)


def reason_in(body: bytes, redact: Callable[[str], str]) -> tuple[str | None, bool]:
    """The reason in an error body, and whether the body has a shape of these APIs.

    The reason is None when the body has none of the known shapes. That of a gateway has a ``message`` alone.

    Args:
        body: The body.
        redact: Removes secrets from the server's text.
    """
    try:
        read = ErrorBody.model_validate(read_json(body))
        of_api = read.detail is not None or read.error is not None
        text = redact(str(read))
        if not text and len(body) > _READ:
            value = from_json(body[:_READ], allow_partial="trailing-strings")
            text = redact(str(ErrorBody.model_validate(value)))[:-_LONGEST_SECRET]
    except ValueError:
        return None, False
    return text, of_api


def beginning_of(body: bytes, redact: Callable[[str], str]) -> str:
    """The beginning of an error body that is text, without secrets."""
    text = redact(body[:_READ].decode(errors="replace"))
    return text[:-_LONGEST_SECRET] if len(body) > _READ else text
