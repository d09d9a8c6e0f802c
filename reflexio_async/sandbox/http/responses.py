"""What a handler answers, before it becomes bytes on a socket."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json


class Disconnect(Enum):
    """When the server closes the connection."""

    NEVER = "never"
    AFTER_BODY = "after the response, without announcing it"
    DURING_BODY = "half-way through the body"
    BEFORE_HEADERS = "instead of responding"


@dataclass(frozen=True, slots=True)
class Response:
    """A status, a body, and when the connection is closed.

    Attributes:
        body: Text, or any JSON value.
        status: The HTTP status.
        headers: Headers besides Content-Type.
        content_type: The value of Content-Type.
        disconnect: When the connection is closed.
        seconds: The body is sent in pieces over so many seconds of the clock.
    """

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str = "application/json"
    disconnect: Disconnect = Disconnect.NEVER
    seconds: float = 0.0

    def encoded(self) -> bytes:
        """The body's bytes. NaN and infinity become null.

        Raises:
            ValueError: The body is no JSON value, or text that UTF-8 cannot encode.
        """
        if isinstance(self.body, str):
            return self.body.encode()
        return to_json(self.body, inf_nan_mode="null")


def succeeded(**fields: Any) -> Response:
    """A response with ``success: true`` and these fields."""
    return Response({"success": True, **fields})


def refused(**fields: Any) -> Response:
    """A response with ``success: false`` and these fields. Its status is 200, too."""
    return Response({"success": False, **fields})


def error_response(status: int, detail: Any, headers: Mapping[str, str] | None = None) -> Response:
    """An error in FastAPI's shape."""
    return Response({"detail": detail}, status, headers or {})


def timeout_response(correlation_id: str, reason: str = "backstop_timeout") -> Response:
    """504: the server's deadline has passed, and the work goes on (server-behaviour: Deadlines)."""
    body = {"detail": "Request timeout", "reason": reason, "correlation_id": correlation_id}
    return Response(body, 504)


def internal_error() -> Response:
    """500 in plain text. The connection is closed without notice (server-behaviour: Connections)."""
    return Response(
        "Internal Server Error",
        500,
        content_type="text/plain; charset=utf-8",
        disconnect=Disconnect.AFTER_BODY,
    )


class RequestRejected(Exception):
    """The request ends with ``response``, before its handler has finished."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class ValidationFailed(Exception):
    """The request does not fit its schema. ``errors`` are the entries of a 422's ``detail``."""

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("422")
        self.errors = errors

    @classmethod
    def of(cls, error: ValidationError, place: str) -> ValidationFailed:
        """What pydantic found, in FastAPI's shape: the offending ``input`` is echoed."""
        return cls([_entry(entry, place) for entry in error.errors(include_url=False)])

    def response(self) -> Response:
        """422. NaN in an ``input`` costs every entry its ``input`` and ``ctx``.

        See server-behaviour: Refusals.
        """
        try:
            json.dumps(self.errors, allow_nan=False)
        except ValueError:
            return error_response(422, [without_payload(entry) for entry in self.errors])
        return error_response(422, self.errors)


def without_payload(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of a 422 without values from the request."""
    return {
        "type": entry["type"],
        "loc": [_contract_name(part) for part in entry["loc"]],
        "msg": _contract_name(entry["msg"]),
    }


def _entry(entry: Any, place: str) -> dict[str, Any]:
    found = {**without_payload({**entry, "loc": [place, *entry["loc"]]}), "input": entry["input"]}
    if place == "query" and entry["type"] == "missing":
        found["input"] = None
    if "ctx" in entry:
        # An exception in the context is encoded as an empty object.
        found["ctx"] = {
            key: {} if isinstance(value, Exception) else _contract_name(value)
            for key, value in entry["ctx"].items()
        }
    return found


def _contract_name(value: Any) -> Any:
    """Our classes are named after the contract's, with ``Schema`` at the end."""
    return re.sub(r"\b([A-Z]\w+)Schema\b", r"\1", value) if isinstance(value, str) else value
