"""Many reruns on a server that runs one at a time and admits five a minute: none is lost."""

from __future__ import annotations

import asyncio
import faulthandler

import pytest

from tests.real import scenarios
from tests.real.scenarios import FEW, USERS, WINDOW, Scenarios

pytestmark = [pytest.mark.real, pytest.mark.slow]

# Twelve starts at five a minute: the first window opens at once, two more have to be waited for.
TWO_WAITS = 2 * WINDOW + 10
ONE_WAIT = WINDOW + 10


@pytest.fixture(scope="module")
def observed() -> Scenarios:
    # Two windows are longer than pytest waits before it suspects a deadlock.
    faulthandler.cancel_dump_traceback_later()
    return asyncio.run(scenarios.run_all())


def test_twelve_reruns_started_with_one_gather_all_complete(observed: Scenarios) -> None:
    results = observed.gathered.results
    assert [result.success for result in results] == [True] * 12
    assert [result.profiles_generated for result in results] == [1] * 12
    assert len({result.operation_id for result in results}) == 12


def test_each_gathered_rerun_left_its_pending_profile(observed: Scenarios) -> None:
    assert observed.gathered.pending == dict.fromkeys(USERS, 1)


def test_gathered_reruns_cost_one_admitted_start_each_and_one_429_in_all(observed: Scenarios) -> None:
    starts = observed.gathered.starts
    assert starts[200] == 12
    assert starts[429] <= 1
    assert starts.total() == 12 + starts[429]
    # 200 is also the answer to a busy slot: a start that met one would have been sent again.
    assert sum(observed.gathered.attempts) == starts.total()


def test_gathered_reruns_end_within_two_window_waits(observed: Scenarios) -> None:
    assert observed.gathered.seconds <= TWO_WAITS


def test_the_same_twelve_as_a_batch_all_complete(observed: Scenarios) -> None:
    report = observed.batched.report
    assert report.ok, report.table()
    assert sorted(row.key for row in report.completed) == USERS
    assert [row.result.profiles_generated for row in report if row.result] == [1] * 12


def test_each_rerun_of_the_batch_left_its_pending_profile(observed: Scenarios) -> None:
    assert observed.batched.pending == dict.fromkeys(USERS, 1)


def test_a_batch_costs_one_admitted_start_each_and_one_429_in_all(observed: Scenarios) -> None:
    starts = observed.batched.starts
    assert starts[200] == 12
    assert starts[429] <= 1
    assert sum(row.attempts for row in observed.batched.report) == starts.total() == 12 + starts[429]


def test_a_batch_ends_within_two_window_waits(observed: Scenarios) -> None:
    assert observed.batched.seconds <= TWO_WAITS


def test_profile_reruns_are_not_slowed_by_playbook_reruns(observed: Scenarios) -> None:
    seen = observed.side_by_side
    assert [result.profiles_generated for result in seen.profiles] == [1] * 12
    assert (seen.starts[200], seen.profile_seconds <= TWO_WAITS) == (12, True)


def test_playbook_reruns_end_within_their_own_quota_not_after_the_profiles(observed: Scenarios) -> None:
    seen = observed.side_by_side
    # Twelve users on seven agents: five agents have learnt from two users, two from one.
    assert [result.playbooks_generated for result in seen.playbooks] == [2, 2, 2, 2, 2, 1, 1]
    assert (seen.playbook_starts[200], seen.playbook_starts[429] <= 1) == (7, True)
    assert seen.playbook_seconds <= ONE_WAIT < seen.profile_seconds


def test_reruns_whose_handles_were_dropped_all_run(observed: Scenarios) -> None:
    assert observed.forgotten.pending == dict.fromkeys(FEW, 1)
    assert (observed.forgotten.starts[200], observed.forgotten.starts[429] <= 1) == (7, True)


def test_closing_sends_the_starts_that_wait_for_the_limit(observed: Scenarios) -> None:
    assert observed.forgotten.summary.complete
    assert WINDOW - 5 <= observed.forgotten.seconds <= ONE_WAIT


def test_a_server_killed_while_starts_wait_for_the_limit_costs_nothing(observed: Scenarios) -> None:
    seen = observed.interrupted
    assert seen.starts_before == {200: 5, 429: 1}
    assert seen.report.ok, seen.report.table()
    assert seen.starts == {200: 7, 429: 1}
    assert seen.pending == dict.fromkeys(FEW, 1)
