"""The simulation of many organisations, small, with the rules of the real store."""

from __future__ import annotations

import pytest

from benchmarks.cluster.rules import LEASE
from benchmarks.cluster.simulation import Faults, simulated

MANY_FAULTS = Faults(mean_life=60.0, mean_freeze=90.0, restart=5.0, at_start=0.05)

pytestmark = pytest.mark.slow


async def test_every_user_is_started_once_however_often_workers_die_and_freeze() -> None:
    report = await simulated(12, 40, 3, MANY_FAULTS, real_store=True)
    assert report.deaths > 20
    assert report.freezes > 5
    assert report.exact == report.jobs == 480
    assert report.longest_takeover <= LEASE + 1.0


async def test_the_rules_in_a_few_lines_are_those_of_the_store() -> None:
    assert await simulated(8, 30, 3, MANY_FAULTS) == await simulated(8, 30, 3, MANY_FAULTS, real_store=True)
