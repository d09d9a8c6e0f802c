"""Resume tokens: versioned JSON without secrets, readable in another process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

from reflexio_async.errors import InvalidRequest

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Token:
    """What is needed to find a job again.

    Attributes:
        kind: The name of its kind.
        url: The server's address.
        id: The server's id of the job.
        params: The parameters of its request that the server repeats in its status.
        not_before: Start time of the operation before this job (epoch seconds by the server's clock). Tells
            jobs apart on servers that give no unique id.
    """

    kind: str
    url: str
    id: str
    params: dict[str, Any] = field(default_factory=dict[str, Any])
    not_before: int | None = None

    def to_text(self) -> str:
        """The token as the user keeps it."""
        return json.dumps({"v": _VERSION, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Token:
        """Read a token; raise InvalidRequest when ``text`` is not a token."""
        try:
            content = json.loads(text)
            version = content.pop("v")
            if version == _VERSION:
                return TypeAdapter(cls).validate_json(json.dumps(content), strict=True)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            message = "token: not a job token; pass the text of job.token"
        else:
            message = f"token: written by another release than this one, which knows version {_VERSION}"
        raise InvalidRequest(message)
