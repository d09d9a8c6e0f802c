"""Rate limits whose windows are short, for tests in real time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async.sandbox.reflexio import rate_limits

if TYPE_CHECKING:
    import pytest

    from reflexio_async.sandbox import Sandbox

SECONDS = 3


def shorten_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sandbox's windows last three seconds, not a minute. Its refusals say so."""
    monkeypatch.setattr(rate_limits, "WINDOW", float(SECONDS))
    monkeypatch.setattr(rate_limits, "PERIOD", f"{SECONDS} second")


def refused(box: Sandbox) -> int:
    """How many requests the rate limits have refused."""
    return sum(record.status == 429 for record in box.requests)
