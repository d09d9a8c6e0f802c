"""What is known of one rate limit, as text: for a process that goes on where another has ended."""

from __future__ import annotations

import logging
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reflexio_async._engine.logs import fields
from reflexio_async._engine.retry import BELIEVED

logger = logging.getLogger("reflexio_async")

_OLDEST = 86400.0  # seconds; the server may have another limit since

_Time = Annotated[float, Field(ge=0)]
_Times = Annotated[tuple[_Time, ...], Field(max_length=1000)]


class RateSnapshot(BaseModel):
    """A rate limit as one process knew it. Times are epoch seconds.

    Attributes:
        at: When this was written.
        hits: How many requests the limit allows; None while the limit is not known.
        period: In how many seconds it allows them.
        began: The earliest time at which the server can have begun the window; None before its first hit.
        end: When the window has ended for sure; None until the first response in it has arrived.
        used: How many hits are used up in this window.
        uncertain: When those hits were sent that the server may count in its next window.
        recent: When the responses of the last hits arrived.
        closed_until: No request may be sent before.
        unsure: Whether one request has to go before the others.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, defer_build=True)

    at: _Time
    hits: Annotated[int, Field(ge=1)] | None = None
    period: Annotated[float, Field(gt=0)] | None = None
    began: _Time | None = None
    end: _Time | None = None
    used: Annotated[int, Field(ge=0)] = 0
    uncertain: _Times = ()
    recent: _Times = ()
    closed_until: _Time = 0.0
    unsure: bool = False

    def to_text(self) -> str:
        """This as JSON."""
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def from_text(cls, text: str, now: float) -> RateSnapshot | None:
        """Read a snapshot; None when ``text`` is none, or was not written in the last day before ``now``."""
        try:
            snapshot = cls.model_validate_json(text)
        except ValidationError:
            logger.warning(
                "what a store holds about a rate limit cannot be read; the limit is learned anew",
                extra=fields("store_unreadable"),
            )
            return None
        # A clock that was set back makes a new snapshot look as if it came from the future.
        return snapshot if now - _OLDEST <= snapshot.at <= now + BELIEVED else None
