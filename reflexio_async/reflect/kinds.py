"""The two kinds of trace job: until it is stored, and until it is reviewed."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Protocol

from reflexio_async._engine.jobs.kinds import SingleKind
from reflexio_async._engine.jobs.status import JobState, JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.settings import Settings
    from reflexio_async.reflect.models import Trace

# Words of the contract: IngestStatus and ReviewStatus, whose file loads late.
_FAILED = "failed"
_REVIEWED = "reviewed"


@cache
def _status(state: JobState, word: str) -> JobStatus:
    """One object for every trace in this state: thousands may wait at once."""
    return JobStatus(state, message=word)


class Ingested(Protocol):
    """As much of a trace as tells how far it is."""

    @property
    def ingest_status(self) -> str:
        """How far the server is with it."""
        ...

    @property
    def review_status(self) -> str:
        """Whether it has been judged."""
        ...

    @property
    def last_ingest_error(self) -> str | None:
        """Why it failed."""
        ...


def _read(trace: Ingested, *, done: bool) -> JobStatus:
    word = str(trace.ingest_status)
    if word == _FAILED:
        error = trace.last_ingest_error or "the server names no reason"
        return JobStatus(JobState.FAILED, message=word, error=error)
    return _status(JobState.COMPLETED if done else JobState.RUNNING, word)


def stored(trace: Ingested) -> JobStatus:
    """Where a trace without a review stands: the server shows it, so it is stored."""
    return _read(trace, done=True)


def reviewed(trace: Ingested) -> JobStatus:
    """Where a trace with a review stands."""
    return _read(trace, done=trace.review_status == _REVIEWED)


_AT_ONCE = 32  # two hundred a second need so many where an answer takes 0.16 s

STORED = "trace"
REVIEWED = "reviewed_trace"


@cache
def trace_kinds(per_second: float) -> Mapping[str, SingleKind[Trace]]:
    """Both kinds by name, asked for at most so often a second together."""
    return {
        name: SingleKind(
            name,
            interval=0.25,
            timeout=60.0,
            read=read,
            per_second=per_second,
            concurrency=min(_AT_ONCE, math.ceil(per_second)),  # which may come in one burst
            limited_with=STORED,
            appears_late=True,
        )
        for name, read in ((STORED, stored), (REVIEWED, reviewed))
    }


def trace_kind(settings: Settings, *, reviewed: bool) -> SingleKind[Trace]:
    """What is waited for, under the client's settings."""
    return trace_kinds(settings.polls_per_second)[REVIEWED if reviewed else STORED]
