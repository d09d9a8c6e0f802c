"""Whatever fails, in whatever order: no caller hangs, no result is lost, doubled or made up.

The ordinary run has seven hundred schedules, always the same. ``REFLEXIO_FAULT_EXAMPLES=5000`` runs so many
others, drawn anew each time.
"""

from __future__ import annotations

import asyncio
import os
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.faults.actions import ABSURD_HEADERS, ABSURD_REFUSALS
from tests.faults.disturbances import FOREIGN_USES
from tests.faults.running import run_schedule
from tests.faults.schedules import (
    ForeignLoop,
    ForeignOperation,
    ManualGeneration,
    Outage,
    Publish,
    PublishBatch,
    Read,
    RerunBatch,
    Reruns,
    Restart,
    Schedule,
    ScheduledFault,
    Step,
    StrayBytes,
)
from tests.scene import PLAYBOOKS, PUBLISH, RERUN, STATUS

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

CANCEL = "/api/cancel_operation"
MANUAL = "/api/manual_profile_generation"
OTHERS = ("/meta/version", "/api/learning_status", "/api/get_requests")
STARTS = (RERUN, PLAYBOOKS, MANUAL)
BUSY = "Another generation attempt is already in progress"

EXAMPLES = int(os.environ.get("REFLEXIO_FAULT_EXAMPLES", "0"))
moments = st.sampled_from([0.0, 0.03, 0.5, 1.0, 1.3, 5.0, 20.0, 70.0, 700.0])
spans = st.sampled_from([0.02, 0.5, 2.0, 7.0, 30.0, 90.0, 650.0])
maybe_spans = st.none() | spans
widths = st.sampled_from([None, 1, 2, 5, 50])
outage_kinds = st.sampled_from(
    [("lost_before",), ("answer_lost",), ("internal_error",), ("html", 503), ("html", 200), ("status", 302)]
)


def outage(at: float, seconds: float, kind: tuple[Any, ...]) -> Outage:
    return Outage(at, seconds, kind[0], kind[1:])


@cache  # strategies are slow to make
def scheduled_faults(timeout: float) -> SearchStrategy[ScheduledFault]:
    """Every kind of fault on every route that a schedule uses, as a server or what stands before it might."""
    usual = [*[STATUS] * 4, *[RERUN] * 4, *[PUBLISH] * 3, PLAYBOOKS, CANCEL, MANUAL]
    paths = st.sampled_from([*usual, *OTHERS])
    often = {"times": st.sampled_from([1, 2, 3, 7, None]), "after": st.integers(0, 6)}

    def fault(
        kind: str, *args: SearchStrategy[Any], **more: SearchStrategy[Any]
    ) -> SearchStrategy[ScheduledFault]:
        options: dict[str, SearchStrategy[Any]] = {"path": paths, **often, **more}
        return st.builds(ScheduledFault, st.just(kind), args=st.tuples(*args), **options)

    return st.one_of(
        fault("lost_before"),
        fault("answer_lost"),
        fault("cut_off"),
        fault("broken_json"),
        fault("dropped_after"),
        fault("freeze", after_effect=st.booleans()),
        # A start that takes effect after its caller gave up is beyond anybody's knowing.
        fault("delay", spans.filter(lambda span: span < timeout)),
        fault("delay", spans, after_effect=st.just(value=True)),
        fault("overwork", spans.filter(lambda span: span < timeout)),
        fault("internal_error", after_effect=st.booleans()),
        fault("status", st.sampled_from([302, 400, 401, 403, 404, 408, 409, 413, 421, 422, 425, 503])),
        fault("status", st.sampled_from([500, 502, 504]), after_effect=st.booleans()),
        # A batch of publishes waits for as long as ``Retry-After`` says.
        fault("rate_limited", times=st.integers(1, 7)),
        fault("crowded", times=st.integers(1, 7)),
        fault("no_capacity", path=st.just(PUBLISH)),
        fault("refused", st.sampled_from(["database is locked", "not today"]), path=st.just(PUBLISH)),
        st.builds(
            ScheduledFault,
            st.just("refused"),
            st.sampled_from([STATUS, *STARTS]),
            st.sampled_from([("not today",), (BUSY,), ("database is locked",)]),
            times=st.integers(1, 7),  # a slot that is taken is waited for as long as it takes
            after=often["after"],
        ),
        fault("html", st.sampled_from([200, 403, 404, 429, 502, 503])),
        # Each may close a path for an hour.
        fault("absurd_refusal", st.sampled_from(sorted(ABSURD_REFUSALS)), times=st.integers(1, 2)),
        fault("absurd_headers", st.sampled_from(sorted(ABSURD_HEADERS)), times=st.integers(1, 2)),
    )


@cache
def steps(users: int) -> SearchStrategy[tuple[Step, ...]]:
    """A few steps of callers, of another client, and of the server."""
    who = {"first": st.integers(0, users - 1), "count": st.integers(1, users)}
    reruns = st.one_of(
        st.builds(
            RerunBatch,
            at=moments,
            **who,
            streamed=st.booleans(),
            concurrency=widths,
            wait_timeout=maybe_spans,
            fail_fast=st.booleans(),
            stop_after=maybe_spans,
            cancel_after=st.none() | spans,
            leave_after=st.none() | st.integers(1, 3),
        ),
        st.builds(
            Reruns,
            at=moments,
            **who,
            playbooks=st.booleans(),
            wait_timeout=maybe_spans,
            poll_interval=st.sampled_from([None, 0.2, 3.0]),
            disturb_after=maybe_spans,
            resume=st.booleans(),
            watch=st.booleans(),
        ),
        st.builds(RerunBatch, at=moments, **who),
        st.builds(Reruns, at=moments, **who),
    )
    others = st.one_of(
        st.builds(
            ManualGeneration,
            at=moments,
            user=st.integers(0, users - 1),
            forget=st.booleans(),
            wait_timeout=maybe_spans,
        ),
        st.builds(
            PublishBatch,
            at=moments,
            count=st.integers(1, 8),
            own_ids=st.booleans(),
            streamed=st.booleans(),
            concurrency=widths,
            stop_after=maybe_spans,
            cancel_after=st.none() | spans,
        ),
        st.builds(Publish, at=moments, request_id=st.sampled_from([None, "mine"]), learn=st.booleans()),
        st.builds(ForeignOperation, at=moments, seconds=spans, service=st.integers(0, 1)),
        st.builds(Read, at=moments, timeout=st.sampled_from([0.5, 3.0, 30.0])),
        st.builds(Restart, at=moments, down=st.sampled_from([0.0, 1.0, 20.0, 400.0])),
        st.builds(outage, moments, st.sampled_from([5.0, 30.0, 290.0, 600.0]), outage_kinds),
        st.builds(StrayBytes, at=moments),
        st.builds(ForeignLoop, at=moments, use=st.sampled_from(sorted(FOREIGN_USES))),
    )
    return st.lists(reruns | others, min_size=1, max_size=5).map(tuple)


@cache
def schedules_of(users: int, timeout: float) -> SearchStrategy[Schedule]:
    """Schedules of so many users."""
    return st.builds(
        Schedule,
        steps=steps(users),
        scheduled_faults=st.lists(scheduled_faults(timeout), max_size=4).map(tuple),
        users=st.just(users),
        rerun_seconds=st.sampled_from([0.0, 0.3, 4.0, 45.0]),
        failing=st.none() | st.integers(0, users - 1),
        dialect=st.sampled_from(["correlated", "correlated", "uncorrelated", "synchronous"]),
        rate_limits=st.booleans(),
        concurrency=st.sampled_from([16, 1, 3]),
        timeout=st.just(timeout),
        raise_on_refusal=st.sampled_from([True, True, False]),
        leave_at=st.sampled_from([None] * 3 + [0.0, 0.5, 1.3, 5.0, 70.0]),
        by_error=st.booleans(),
        drain_timeout=st.sampled_from([5000.0, 5.0]),
    )


sizes = st.tuples(st.integers(1, 12), st.sampled_from([300.0, 300.0, 10.0, 3.0]))
schedules = sizes.flatmap(lambda size: schedules_of(*size))


def run_and_print(schedule: Schedule) -> None:
    """Run it; when it fails, a program that runs it again is printed with the error."""
    note(f"\n{schedule.script}")
    asyncio.run(run_schedule(schedule))


@pytest.mark.slow
@settings(
    derandomize=not EXAMPLES,
    database=None,
    max_examples=EXAMPLES or 700,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    print_blob=False,
)
@given(schedule=schedules)
def test_what_must_hold_holds_whatever_fails(schedule: Schedule) -> None:
    run_and_print(schedule)
