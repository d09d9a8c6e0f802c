"""Clients of these tests export to memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from reflexio_async._engine import tracing
from tests.tracing.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace.sampling import Sampler


@pytest.fixture
def telemetry_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sampler | None], Telemetry]:
    """Let the clients that are made from now on export to what this returns."""

    def use(sampler: Sampler | None) -> Telemetry:
        made = Telemetry(sampler)
        traced = partial(tracing.Tracing, tracer_provider=made.tracers, meter_provider=made.meters)
        monkeypatch.setattr(tracing, "Tracing", traced)
        return made

    return use


@pytest.fixture
def telemetry(telemetry_of: Callable[[Sampler | None], Telemetry]) -> Telemetry:
    return telemetry_of(None)
