"""Resume tokens: versioned JSON without secrets, readable in another process."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from reflexio_async.errors import InvalidRequest


class Token(BaseModel):
    """What is needed to find a job again.

    ``params`` are the parameters that the server echoes; ``not_before`` (epoch seconds, the server's
    clock) is the start of the operation seen before ours, on servers that give no unique id.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    v: Literal[1] = 1
    kind: str
    url: str
    id: str
    params: dict[str, Any] = {}
    not_before: int | None = None

    def to_text(self) -> str:
        """The token as the user keeps it."""
        return self.model_dump_json()

    @classmethod
    def from_text(cls, text: str) -> Token:
        """The token in ``text``, or an InvalidRequest."""
        try:
            return cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            if any(fault["loc"] == ("v",) for fault in error.errors(include_url=False)):
                message = "token: written by another release than this one, which knows version 1"
            else:
                message = "token: not a job token; pass the text of job.token"
            raise InvalidRequest(message) from None
