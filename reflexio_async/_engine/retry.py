"""How long to wait before a call is repeated."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import backoff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reflexio_async._engine.settings import RetryPolicy


def delays(policy: RetryPolicy) -> Iterator[float]:
    """Seconds before the second try, the third, …: exponential with full jitter."""
    steps = backoff.expo(base=2, factor=policy.base_delay, max_value=policy.max_delay)
    next(steps)  # backoff's generators are coroutines: the first value only starts them
    for _ in range(policy.max_attempts - 1):
        yield backoff.full_jitter(next(steps))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """``Retry-After`` in seconds from ``now`` (epoch seconds), given as a number or as an HTTP date."""
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        return None
