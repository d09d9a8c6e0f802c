"""How long to wait before a call is tried again."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import backoff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reflexio_async._engine.settings import RetryPolicy

BELIEVED = 3600.0
"""Seconds. A server that asks for a longer wait is asked again after this time: its header may be wrong."""

_LONGEST_DATE = 64  # characters of a header that are read


def delays(policy: RetryPolicy) -> Iterator[float]:
    """Seconds before the second try, before the third, and so on: exponential, with full jitter."""
    steps = backoff.expo(base=2, factor=policy.base_delay, max_value=policy.max_delay)
    next(steps)  # the first value of backoff's generators is None
    for _ in range(policy.max_attempts - 1):
        yield backoff.full_jitter(next(steps))


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
