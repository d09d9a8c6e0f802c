"""Resume tokens: versioned JSON without secrets, readable in another process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from reflexio_async.errors import InvalidRequest

_VERSION = 1
_VERSION_WITH_ROW = 2
"""Releases that know no rows refuse these tokens: ``id`` may be empty in them."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is needed to find a job again.

    Attributes:
        kind: The name of its kind.
        url: The server's address.
        id: The server's id of the job. Empty before admission, which only a token with a ``row`` can be.
        params: The parameters of its request that the server repeats in its status.
        not_before: Start time of the operation before this job (epoch seconds by the server's clock). Tells
            jobs apart on servers that give no unique id.
        row: The id of the job's row in a store; None for a job without a store.
    """

    kind: str
    url: str
    id: str
    params: dict[str, Any] = field(default_factory=dict[str, Any])
    not_before: int | None = None
    row: str | None = None

    def to_text(self) -> str:
        """The token as the user keeps it."""
        content: dict[str, Any] = {
            "v": _version_of(self),
            "kind": self.kind,
            "url": self.url,
            "id": self.id,
            "params": self.params,
            "not_before": self.not_before,
        }
        if self.row is not None:
            content["row"] = self.row
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Token:
        """Read a token; raise InvalidRequest when ``text`` is not a token."""
        try:
            content = json.loads(text)
            version = content.pop("v")
            if version in (_VERSION, _VERSION_WITH_ROW):
                token = _adapter().validate_json(json.dumps(content), strict=True)
                if version == _version_of(token):
                    return token
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            message = "token: not a job token; pass the text of job.token"
        else:
            message = "token: written by another release than this one, which knows versions 1 and 2"
        raise InvalidRequest(message)


@cache
def _adapter() -> TypeAdapter[Token]:
    """Reads tokens. Made on first use, because that takes milliseconds."""
    return TypeAdapter(Token)


def _version_of(token: Token) -> int:
    return _VERSION if token.row is None else _VERSION_WITH_ROW
