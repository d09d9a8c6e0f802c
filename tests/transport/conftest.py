"""Tests with real sockets. The delays between tries pass in virtual time."""

from __future__ import annotations

import pytest

from reflexio_async.sandbox import VirtualClock


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REFLEXIO_API_KEY", "REFLEXIO_API_URL", "REFLEXIO_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()
