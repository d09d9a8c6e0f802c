"""How long to wait before a call is tried again."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import backoff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reflexio_async._engine.settings import RetryPolicy


def delays(policy: RetryPolicy) -> Iterator[float]:
    """Seconds before the second try, before the third, and so on: exponential, with full jitter."""
    steps = backoff.expo(base=2, factor=policy.base_delay, max_value=policy.max_delay)
    next(steps)  # the first value of backoff's generators is None
    for _ in range(policy.max_attempts - 1):
        yield backoff.full_jitter(next(steps))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds from ``now`` (epoch seconds) that the header ``Retry-After`` asks for.

    The header holds a number of seconds or an HTTP date. Any other value, or no header, is None.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        return None
