"""Failures of a batch, grouped by their reasons."""

from __future__ import annotations

from reflexio_async._engine.batch.failures import failure_groups
from reflexio_async._engine.batch.report import Outcome, OutcomeState
from reflexio_async.errors import InvalidRequest


def failed(key: str, reason: str) -> Outcome[str, None]:
    return Outcome(key, OutcomeState.FAILED, error=InvalidRequest(reason))


def test_a_key_of_one_letter_is_left_out_of_no_word() -> None:
    outcomes = [failed("b", "b has no data before May"), failed("ana", "ana has no data before May")]
    assert [group.reason for group in failure_groups(outcomes)] == ["… has no data before May"]
