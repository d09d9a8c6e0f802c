"""Resume tokens: versioned JSON without secrets, readable in another process."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Token:
    """What is needed to find a job again.

    ``params`` are the parameters that the server echoes; ``not_before`` (epoch seconds, the server's
    clock) is the start of the operation seen before ours, on servers that give no unique id.
    """

    kind: str
    url: str
    id: str
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    not_before: int | None = None

    def to_text(self) -> str:
        """The token as the user keeps it."""
        return to_json({"v": _VERSION, **asdict(self)}).decode()

    @classmethod
    def from_text(cls, text: str) -> Token:
        """The token in ``text``, or an InvalidRequest."""
        try:
            written = _Written.model_validate_json(text, strict=True)
        except ValidationError as error:
            if any(fault["loc"] == ("v",) and fault["type"] != "missing" for fault in error.errors()):
                message = f"token: written by another release than this one, which knows version {_VERSION}"
            else:
                message = "token: not a job token; pass the text of job.token"
            raise InvalidRequest(message) from None
        return cls(written.kind, written.url, written.id, written.params, written.not_before)


class _Written(BaseModel):
    """The token as text; a job keeps the smaller ``Token``, for there may be very many."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, defer_build=True)

    v: Literal[1]
    kind: str
    url: str
    id: str
    params: dict[str, Any] = {}
    not_before: int | None = None
