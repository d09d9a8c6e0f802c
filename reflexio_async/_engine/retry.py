"""What may pass, and how long to wait before a call is tried again.

One table decides for calls, for status requests and for lanes whether a failure may pass. It asks who has
answered: this API, in JSON of its own shape, or something in between, such as a proxy with a page of its own.

    meaning       what came                          a call             a status request
    UNREACHABLE   no complete response               is tried again     is sent again
    LATER         429, 5xx, a refusal that may       is tried again     is sent again
                  pass
    FOREIGN       not this API: a page, an empty     is tried again     is sent again for ``outage_timeout``
                  or broken body, a redirect, 408
    UNREADABLE    JSON that cannot be read           fails              fails after ``max_attempts``
    CREDENTIAL    401 or 403 of this API             fails              fails the second time
    GONE          404 of this API                    fails              the job is lost the second time
    FINAL         400, 422 and so on of this API     fails              fails

A call that may have had its effect is tried again only if it is repeatable. Before this API has answered at
all, the address is probably wrong: ``max_attempts`` ends what is UNREACHABLE or LATER, and the rest fails at
once.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

from reflexio_async.errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    NotFound,
    PermissionDenied,
    RateLimited,
    ReflexioError,
    RequestRefused,
    ServerError,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reflexio_async._engine.settings import RetryPolicy

BELIEVED = 3600.0
"""Seconds. A server that asks for a longer wait is asked again after this time: its header may be wrong."""

_LONGEST_DATE = 64  # characters of a header that are read

# The statuses below 500 that these APIs send (server-behaviour: Errors), except 429.
_STATUSES_OF_API = frozenset((400, 401, 403, 404, 405, 409, 410, 413, 422))
_OF_GATEWAYS = (502, 503, 504)


class Meaning(Enum):
    """What a failed exchange means; the table above has the details."""

    UNREACHABLE = auto()
    LATER = auto()
    FOREIGN = auto()
    UNREADABLE = auto()
    CREDENTIAL = auto()
    GONE = auto()
    FINAL = auto()


def meaning_of(error: Exception) -> Meaning:  # noqa: PLR0911  # a table
    """What ``error`` means."""
    match error:
        case APIConnectionError():
            return Meaning.UNREACHABLE
        case RateLimited() | ServerError() | RequestRefused():
            return Meaning.LATER
        case UnexpectedResponse():
            return Meaning.FOREIGN if error.foreign else Meaning.UNREADABLE
        case APIStatusError() if not error.from_api or error.status not in _STATUSES_OF_API:
            return Meaning.FOREIGN
        case AuthenticationError() | PermissionDenied():
            return Meaning.CREDENTIAL
        case NotFound():
            return Meaning.GONE
        case ReflexioError():
            return Meaning.FINAL
        case _:
            return Meaning.UNREADABLE  # a fault in the reading of an answer


def call_may_pass(error: Exception, *, has_answered: bool) -> bool:
    """Whether another try of a call may succeed. ``has_answered``: this API has answered before."""
    meaning = meaning_of(error)
    if meaning is Meaning.FOREIGN:
        return has_answered
    return meaning in (Meaning.UNREACHABLE, Meaning.LATER)


def is_away(error: Exception) -> bool:
    """Whether the server seems to be away: nothing answered, or something else in its place."""
    if isinstance(error, ServerError):
        return not error.from_api and error.status in _OF_GATEWAYS
    return meaning_of(error) in (Meaning.UNREACHABLE, Meaning.FOREIGN)


class Verdict(Enum):
    """What follows from the failed status requests of a job."""

    ASK_AGAIN = auto()
    FAIL = auto()
    LOSE = auto()


class FailedPolls:
    """The failed status requests of one source since its last answer.

    Attributes:
        count: How many there were.
        since: When the first of them failed, by the clock.
        error: The error of the last one.
    """

    __slots__ = ("_foreign_since", "_meaning", "_repeated", "count", "error", "since")

    def __init__(self) -> None:
        self.count = 0
        self.since = 0.0
        self.error: Exception | None = None
        self._meaning: Meaning | None = None
        self._repeated = 0
        self._foreign_since: float | None = None

    def add(self, error: Exception, now: float) -> None:
        """Note that a status request has failed."""
        meaning = meaning_of(error)
        self._repeated = self._repeated + 1 if meaning is self._meaning else 1
        if meaning is not Meaning.FOREIGN:
            self._foreign_since = None
        elif self._foreign_since is None:
            self._foreign_since = now
        if not self.count:
            self.since = now
        self.count += 1
        self.error, self._meaning = error, meaning

    def verdict(
        self, now: float, *, has_answered: bool, max_attempts: int, outage_timeout: float, began: float
    ) -> Verdict:
        """What follows for one job.

        Args:
            now: The time, by the clock.
            has_answered: This API has answered before.
            max_attempts: How many status requests may fail before that, or be unreadable in a row.
            outage_timeout: The option of the job's client.
            began: When the job's own status requests began.
        """
        meaning = self._meaning
        if not has_answered:
            patient = meaning in (Meaning.UNREACHABLE, Meaning.LATER) and self.count < max_attempts
            return Verdict.ASK_AGAIN if patient else Verdict.FAIL
        if self._foreign_since is not None:
            over = now - max(self._foreign_since, began) >= outage_timeout
            return Verdict.FAIL if over else Verdict.ASK_AGAIN
        if meaning is Meaning.UNREADABLE:
            return Verdict.ASK_AGAIN if self._repeated < max_attempts else Verdict.FAIL
        if meaning in (Meaning.CREDENTIAL, Meaning.GONE):
            if self._repeated < 2:
                return Verdict.ASK_AGAIN
            return Verdict.LOSE if meaning is Meaning.GONE else Verdict.FAIL
        return Verdict.FAIL if meaning is Meaning.FINAL else Verdict.ASK_AGAIN

    def description(self, now: float) -> str:
        """The last error, and for how long requests have failed, for messages."""
        seconds = now - self.since
        return f"{self.error} (no answer for {seconds:.0f} s)" if seconds >= 1 else str(self.error)


def delays(policy: RetryPolicy) -> Iterator[float]:
    """Seconds before the second try, before the third, and so on: exponential, with full jitter."""
    import backoff  # noqa: PLC0415  # most calls are never repeated

    steps = backoff.expo(base=2, factor=policy.base_delay, max_value=policy.max_delay)
    next(steps)  # the first value of backoff's generators is None
    for _ in range(policy.max_attempts - 1):
        yield backoff.full_jitter(next(steps))


def outage_delay(policy: RetryPolicy) -> float:
    """Seconds before another try, when the server is away for longer than ``delays`` last."""
    import backoff  # noqa: PLC0415  # as above

    return backoff.full_jitter(policy.max_delay)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds from ``now`` (epoch seconds) that the header ``Retry-After`` asks for, at most an hour.

    The header holds a number of seconds or an HTTP date. Any other value, or no header, is None.
    """
    text = headers.get("Retry-After", "").strip()[:_LONGEST_DATE]
    if text.isascii() and text.isdigit():
        return min(float(text), BELIEVED)
    date = _epoch_seconds(text)
    return None if date is None else min(max(0.0, date - server_time(headers, now)), BELIEVED)


def server_time(headers: Mapping[str, str], now: float) -> float:
    """The server's time in epoch seconds: its ``Date`` header, else our own, ``now``.

    The times that it names are by its clock, which may differ from ours.
    """
    date = _epoch_seconds(headers.get("Date", "").strip()[:_LONGEST_DATE])
    return now if date is None else date


def _epoch_seconds(date: str) -> float | None:
    """The time of an HTTP date; None for any other text."""
    try:
        parsed = parsedate_to_datetime(date)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
