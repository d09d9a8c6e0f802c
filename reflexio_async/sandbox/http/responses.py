"""What a handler answers, before it becomes bytes on a socket."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError


class Ending(Enum):
    """What becomes of the connection."""

    KEEP = "the connection lives on"
    DROP = "closed after the answer, without a word"
    CUT = "closed half-way through the body"
    LOSE = "closed instead of answering"


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, a body (text, or anything JSON can say), and what becomes of the connection."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str = "application/json"
    ending: Ending = Ending.KEEP
    seconds: float = 0.0
    """Of the clock, over which the body trickles in."""

    def encoded(self) -> bytes:
        """The body's bytes; raises ValueError for what JSON in UTF-8 cannot say, such as NaN."""
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def problem(status: int, detail: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """An error as FastAPI words it."""
    return Reply({"detail": detail}, status, headers or {})


def late(correlation_id: str) -> Reply:
    """The server's patience is over; the work goes on."""
    body = {"detail": "Request timeout", "reason": "backstop_timeout", "correlation_id": correlation_id}
    return Reply(body, 504)


def internal_error() -> Reply:
    """A crash: plain text, and the connection goes, unannounced, as under uvicorn."""
    return Reply("Internal Server Error", 500, content_type="text/plain; charset=utf-8", ending=Ending.DROP)


class Refused(Exception):
    """A handler will not go on: ``reply`` is the answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Invalid(Exception):
    """The request does not fit the route; ``errors`` are a 422's ``detail``."""

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("422")
        self.errors = errors

    @classmethod
    def of(cls, error: ValidationError, place: str) -> Invalid:
        """What pydantic found, as FastAPI reports it: the offending ``input`` is echoed."""
        return cls([_entry(entry, place) for entry in error.errors(include_url=False)])


def _entry(entry: Any, place: str) -> dict[str, Any]:
    found = {
        "type": entry["type"],
        "loc": [place, *entry["loc"]],
        "msg": entry["msg"],
        "input": entry["input"],
    }
    if place == "query" and entry["type"] == "missing":
        found["input"] = None
    if "ctx" in entry:
        # An exception in the context encodes as an empty object.
        found["ctx"] = {
            key: {} if isinstance(value, Exception) else value for key, value in entry["ctx"].items()
        }
    return found
