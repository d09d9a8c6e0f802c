"""The two kinds of trace job: until it is stored, and until it is reviewed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from reflexio_async._engine.jobs.kinds import PolledKind, PollRate
from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async.reflect.models import IngestStatus, ReviewStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.settings import Settings
    from reflexio_async.reflect.models import Trace

_AT_ONCE = 32  # status requests; 200 a second need so many where an answer takes 0.16 s

STORED = "trace"
REVIEWED = "reviewed_trace"


def _status(trace: Trace, *, done: bool) -> JobStatus:
    message = str(trace.ingest_status)
    if trace.ingest_status == IngestStatus.FAILED:
        error = trace.last_ingest_error or "the server names no reason"
        return JobStatus(JobState.FAILED, message=message, error=error)
    return JobStatus(JobState.COMPLETED if done else JobState.RUNNING, message=message)


def stored_status(trace: Trace) -> JobStatus:
    """The status of a trace without a review: it is done when the server shows it."""
    return _status(trace, done=True)


def reviewed_status(trace: Trace) -> JobStatus:
    """The status of a trace with a review: it is done when it is reviewed."""
    return _status(trace, done=trace.review_status == ReviewStatus.REVIEWED)


def trace_kinds(polls_per_second: float) -> Mapping[str, PolledKind[Trace]]:
    """Both kinds by name; their traces are polled at most so often a second, all together."""
    rate = PollRate(
        "traces", per_second=polls_per_second, concurrency=min(_AT_ONCE, math.ceil(polls_per_second))
    )
    return {
        name: PolledKind(name, interval=0.25, timeout=60.0, read=read, rate=rate, appears_late=True)
        for name, read in ((STORED, stored_status), (REVIEWED, reviewed_status))
    }


def trace_kind(settings: Settings, *, reviewed: bool) -> PolledKind[Trace]:
    """The kind of a trace that was sent with a review, or without one."""
    return trace_kinds(settings.polls_per_second)[REVIEWED if reviewed else STORED]
