"""The kinds of job of the Reflexio service, and how the server's answers about them are read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from reflexio_async._engine.jobs.kinds import (
    Dialect,
    Operation,
    PolledKind,
    PollRate,
    Slot,
    SlotKind,
    StartAccepted,
    StartRefused,
)
from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async.reflexio.models.enums import (
    AggregationStatus,
    LearningStatus,
    OperationStatus,
    RegenerationStatus,
)
from reflexio_async.reflexio.models.operations import (
    ManualPlaybookGenerationResponse,
    ManualProfileGenerationResponse,
    OperationStatusInfo,
    RerunPlaybookGenerationResponse,
    RerunProfileGenerationResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reflexio_async.reflexio.models.aggregation import PlaybookAggregationOperation
    from reflexio_async.reflexio.models.evaluation import RegenerateStatusResponse
    from reflexio_async.reflexio.models.interactions import LearningStatusResponse

T = TypeVar("T")

# In the error message of an operation older than 600 s. The server reports it as failed, though it may still
# write results (server-behaviour: Dead operations).
_GAVE_UP_MESSAGE = "Auto-recovered"

# The defaults of waiting, in seconds. A poll interval is the longest: after a start the polls are closer.
SLOT_POLL_INTERVAL = 1.0
LEARNING_POLL_INTERVAL = 2.0
AGGREGATION_POLL_INTERVAL = 5.0
REGENERATION_POLL_INTERVAL = 1.0
WAIT_TIMEOUT = 600.0
AGGREGATION_WAIT_TIMEOUT = 3600.0

PROFILE_SLOT = Slot("profile_generation", SLOT_POLL_INTERVAL)
PLAYBOOK_SLOT = Slot("playbook_generation", SLOT_POLL_INTERVAL)

# In every refusal that means "another operation has the slot" (server-behaviour: Admission, Manual).
_SLOT_TAKEN_MESSAGE = "already in progress"


def slot_kind(
    name: str,
    response: Callable[..., T],
    slot: Slot,
    *,
    echoed: tuple[str, ...],
    count_field: str,
    shared_id: str = "",
    manual: bool = False,
) -> SlotKind[T]:
    """A kind of job of this service that occupies ``slot``.

    Args:
        name: Its name in tokens and logs.
        response: The model of the answer to its start, which is also its result.
        slot: The slot that it occupies.
        echoed: The parameters of the request that the status repeats.
        count_field: The field of ``response`` that counts what was generated. A server fills it in its answer
            to a start only when the work is done by then.
        shared_id: The operation id of every such job on servers that give no unique one.
        manual: Generates current profiles or playbooks, not pending ones. The server answers the start when
            the work is done.
    """

    def read_start(answer: Any) -> StartAccepted | StartRefused:
        message: str | None = answer.msg
        if not answer.success:
            return StartRefused(message, busy=_SLOT_TAKEN_MESSAGE in (message or ""))
        if manual or getattr(answer, count_field) is not None:
            return StartAccepted(getattr(answer, "operation_id", shared_id), Dialect.SYNCHRONOUS, message)
        unique = answer.operation_id != shared_id
        return StartAccepted(
            answer.operation_id, Dialect.CORRELATED if unique else Dialect.UNCORRELATED, message
        )

    message = f"{slot.service.replace('_', ' ').capitalize()} completed"

    def result(operation: Operation) -> T:
        """The response to the start, as it would be if the server sent it after the work."""
        info: OperationStatusInfo = operation.raw
        count = info.stats.get("total_generated")
        fields: dict[str, Any] = {count_field: count if isinstance(count, int) else None}
        if operation.id is not None:
            fields["operation_id"] = operation.id
        return response(success=True, msg=message, **fields)

    def refusal(operation_id: str | None, reason: str) -> T:
        fields = {} if operation_id is None else {"operation_id": operation_id}
        return response(success=False, msg=reason, **fields)

    return SlotKind(
        name,
        timeout=WAIT_TIMEOUT,
        slot=slot,
        echoed=echoed,
        constants={"mode": "manual_regular" if manual else None},
        shared_id=shared_id,
        read_start=read_start,
        result=result,
        synchronous=manual,
        refusal=refusal,
    )


PROFILE_RERUN = slot_kind(
    "profile_rerun",
    RerunProfileGenerationResponse,
    PROFILE_SLOT,
    echoed=("user_id", "source"),
    count_field="profiles_generated",
    shared_id="rerun_profile_generation",
)
PLAYBOOK_RERUN = slot_kind(
    "playbook_rerun",
    RerunPlaybookGenerationResponse,
    PLAYBOOK_SLOT,
    echoed=("agent_version",),
    count_field="playbooks_generated",
    shared_id="rerun_playbook_generation",
)
MANUAL_PROFILES = slot_kind(
    "manual_profiles",
    ManualProfileGenerationResponse,
    PROFILE_SLOT,
    echoed=("user_id", "source"),
    count_field="profiles_generated",
    manual=True,
)
MANUAL_PLAYBOOKS = slot_kind(
    "manual_playbooks",
    ManualPlaybookGenerationResponse,
    PLAYBOOK_SLOT,
    echoed=(),
    count_field="playbooks_generated",
    manual=True,
)
SLOT_KINDS: Mapping[str, SlotKind[Any]] = {
    kind.name: kind for kind in (PROFILE_RERUN, PLAYBOOK_RERUN, MANUAL_PROFILES, MANUAL_PLAYBOOKS)
}

_OPERATION_STATES: Mapping[str, JobState] = {
    OperationStatus.IN_PROGRESS: JobState.RUNNING,
    OperationStatus.COMPLETED: JobState.COMPLETED,
    OperationStatus.FAILED: JobState.FAILED,
    OperationStatus.CANCELLED: JobState.CANCELLED,
}
_LEARNING_STATES: Mapping[str, JobState] = {
    LearningStatus.PENDING: JobState.RUNNING,
    LearningStatus.PROCESSING: JobState.RUNNING,
    LearningStatus.DONE: JobState.COMPLETED,
    LearningStatus.FAILED: JobState.FAILED,
    # Nothing will be learnt from it, and nothing is left to wait for.
    LearningStatus.NOT_TRACKED: JobState.COMPLETED,
}


def _share(done: float, total: float) -> float | None:
    """``done`` of ``total``, from 0 to 1; None when a server's numbers make no sense."""
    try:
        share = done / total
    except (ZeroDivisionError, OverflowError):
        return None
    return min(max(share, 0.0), 1.0) if math.isfinite(share) else None


def _state_of(
    word: str, states: Mapping[str, JobState], ended_at: float | None, error: str | None
) -> tuple[JobState, str | None]:
    """The state for a status word, and the error.

    A word that this release does not know means that the job runs, or with an end time that it failed.
    """
    if word in states or ended_at is None:
        return states.get(word, JobState.RUNNING), error
    return JobState.FAILED, error or f"the server ended it as {word!r:.40}"


def operation(info: OperationStatusInfo) -> Operation:
    """The engine's view of ``info``."""
    state, error = _state_of(info.status, _OPERATION_STATES, info.completed_at, info.error_message)
    if error and _GAVE_UP_MESSAGE in error:
        error = f"the server gave up watching it, though it may still be writing results ({error})"
    status = JobStatus(
        state=state,
        progress=_share(info.progress_percentage, 100),
        processed_users=info.processed_users,
        total_users=info.total_users,
        failed_users=info.failed_users,
        error=error,
        started_at=info.started_at,
        finished_at=info.completed_at,
        raw=info.model_dump(),
    )
    failed = {str(row.get("user_id")): str(row.get("error", "")) for row in info.failed_user_ids}
    # Servers that have no unique ids repeat none.
    operation_id = info.request_params.get("operation_id")
    unique_id = operation_id if isinstance(operation_id, str) else None
    return Operation(unique_id, info.request_params, info.started_at, status, failed, info)


def learning_status(answer: LearningStatusResponse) -> JobStatus:
    """The state of learning as a JobStatus."""
    state = _LEARNING_STATES.get(answer.status, JobState.RUNNING)
    failed = state is JobState.FAILED
    return JobStatus(
        state=state,
        message=answer.reason,
        error=(answer.reason or "the server names no reason") if failed else None,
        raw=answer.model_dump(),
    )


_AGGREGATION_STATES: Mapping[str, JobState] = {
    AggregationStatus.SUCCEEDED: JobState.COMPLETED,
    AggregationStatus.FAILED: JobState.FAILED,
}
_REGENERATION_STATES: Mapping[str, JobState] = {
    RegenerationStatus.COMPLETED: JobState.COMPLETED,
    RegenerationStatus.CANCELLED: JobState.CANCELLED,
    RegenerationStatus.ERROR: JobState.FAILED,
}


def aggregation_status(operation: PlaybookAggregationOperation) -> JobStatus:
    """A durable aggregation as a JobStatus; ``message`` is the server's status word."""
    state, error = _state_of(operation.status, _AGGREGATION_STATES, operation.completed_at, operation.error)
    return JobStatus(
        state=state,
        message=str(operation.status),
        error=error,
        started_at=operation.started_at,
        finished_at=operation.completed_at,
        raw=operation.model_dump(),
    )


def regeneration_status(answer: RegenerateStatusResponse) -> JobStatus:
    """A regeneration as a JobStatus; its units are sessions."""
    reasons = "; ".join(f"{failure.session_id}: {failure.reason}" for failure in answer.failures[:3])
    state, error = _state_of(answer.status, _REGENERATION_STATES, answer.finished_at, reasons or None)
    return JobStatus(
        state=state,
        progress=_share(answer.completed + answer.failed, answer.total),
        message=f"{answer.completed} of {answer.total} sessions judged, {answer.failed} failed",
        error=(error or "the server names no reason") if state is JobState.FAILED else None,
        started_at=answer.started_at,
        finished_at=answer.finished_at,
        raw=answer.model_dump(),
    )


# The server allows 120 a minute (server-behaviour: Rate limits). 1.8 x 60 + 8 = 116.
LEARNING = PolledKind(
    "learning",
    interval=LEARNING_POLL_INTERVAL,
    timeout=WAIT_TIMEOUT,
    read=learning_status,
    rate=PollRate("learning_status", per_second=1.8, burst=8),
)
AGGREGATION = PolledKind(
    "aggregation",
    interval=AGGREGATION_POLL_INTERVAL,
    timeout=AGGREGATION_WAIT_TIMEOUT,
    read=aggregation_status,
)
REGENERATION = PolledKind(
    "evaluation_regeneration",
    interval=REGENERATION_POLL_INTERVAL,
    timeout=WAIT_TIMEOUT,
    read=regeneration_status,
    cancellable=True,
)

POLLED_KINDS: Mapping[str, PolledKind[Any]] = {
    kind.name: kind for kind in (LEARNING, AGGREGATION, REGENERATION)
}
