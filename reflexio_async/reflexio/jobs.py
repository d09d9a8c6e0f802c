"""The Reflexio service's kinds of job, and what their statuses mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from reflexio_async._engine.jobs.kinds import Operation, SingleKind, SlotKind
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

# The server's own clean-up reports an operation older than 600 s as failed while it may still write.
_GAVE_UP = "Auto-recovered"


def completed(response: Callable[..., T], service: str, count_field: str) -> Callable[[Operation], T]:
    """Makes what the start would have answered, had it waited for the operation."""
    message = f"{service.replace('_', ' ').capitalize()} completed"

    def result(operation: Operation) -> T:
        info: OperationStatusInfo = operation.raw
        fields: dict[str, Any] = {count_field: info.stats.get("total_generated")}
        if info.operation_id is not None:
            fields["operation_id"] = info.operation_id
        return response(success=True, msg=message, **fields)

    return result


_RERUN_SECONDS = {"interval": 1.0, "timeout": 600.0}

PROFILE_RERUN: SlotKind[RerunProfileGenerationResponse] = SlotKind(
    name="profile_rerun",
    **_RERUN_SECONDS,
    service="profile_generation",
    constant_id="rerun_profile_generation",
    echoed=("user_id", "source"),
    count_field="profiles_generated",
    mode=None,
    result=completed(RerunProfileGenerationResponse, "profile_generation", "profiles_generated"),
)
PLAYBOOK_RERUN: SlotKind[RerunPlaybookGenerationResponse] = SlotKind(
    name="playbook_rerun",
    **_RERUN_SECONDS,
    service="playbook_generation",
    constant_id="rerun_playbook_generation",
    echoed=("agent_version",),
    count_field="playbooks_generated",
    mode=None,
    result=completed(RerunPlaybookGenerationResponse, "playbook_generation", "playbooks_generated"),
)
MANUAL_PROFILES: SlotKind[ManualProfileGenerationResponse] = SlotKind(
    name="manual_profiles",
    **_RERUN_SECONDS,
    service="profile_generation",
    constant_id="",
    echoed=("user_id", "source"),
    count_field="profiles_generated",
    mode="manual_regular",
    result=completed(ManualProfileGenerationResponse, "profile_generation", "profiles_generated"),
)
MANUAL_PLAYBOOKS: SlotKind[ManualPlaybookGenerationResponse] = SlotKind(
    name="manual_playbooks",
    **_RERUN_SECONDS,
    service="playbook_generation",
    constant_id="",
    echoed=(),
    count_field="playbooks_generated",
    mode="manual_regular",
    result=completed(ManualPlaybookGenerationResponse, "playbook_generation", "playbooks_generated"),
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


def operation(info: OperationStatusInfo) -> Operation:
    """The engine's view of ``info``. A status word that this release does not know counts as running."""
    state = _OPERATION_STATES.get(info.status, JobState.RUNNING)
    error = info.error_message
    if error and _GAVE_UP in error:
        error = f"the server gave up watching it, though it may still be writing results ({error})"
    status = JobStatus(
        state=state,
        progress=info.progress_percentage / 100,
        processed_users=info.processed_users,
        total_users=info.total_users,
        failed_users=info.failed_users,
        error=error,
        started_at=info.started_at,
        finished_at=info.completed_at,
        raw=info.model_dump(),
    )
    failed = {str(row.get("user_id")): str(row.get("error", "")) for row in info.failed_user_ids}
    return Operation(info.operation_id, info.request_params, info.started_at, status, failed, info)


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
    """A durable aggregation as a JobStatus; ``message`` is the server's own word for where it stands."""
    return JobStatus(
        state=_AGGREGATION_STATES.get(operation.status, JobState.RUNNING),
        message=str(operation.status),
        error=operation.error,
        started_at=operation.started_at,
        finished_at=operation.completed_at,
        raw=operation.model_dump(),
    )


def regeneration_status(answer: RegenerateStatusResponse) -> JobStatus:
    """A regeneration as a JobStatus; its units are sessions."""
    state = _REGENERATION_STATES.get(answer.status, JobState.RUNNING)
    reasons = "; ".join(f"{failure.session_id}: {failure.reason}" for failure in answer.failures[:3])
    return JobStatus(
        state=state,
        progress=(answer.completed + answer.failed) / answer.total if answer.total else None,
        message=f"{answer.completed} of {answer.total} sessions judged, {answer.failed} failed",
        error=(reasons or "the server names no reason") if state is JobState.FAILED else None,
        started_at=answer.started_at,
        finished_at=answer.finished_at,
        raw=answer.model_dump(),
    )


# learning_status is limited to 120 a minute for all requests together (contract): 116 with the burst.
LEARNING = SingleKind("learning", interval=2.0, timeout=600.0, read=learning_status, per_second=1.8, burst=8)
AGGREGATION = SingleKind("aggregation", interval=5.0, timeout=3600.0, read=aggregation_status)
REGENERATION = SingleKind(
    "evaluation_regeneration", interval=1.0, timeout=600.0, read=regeneration_status, cancellable=True
)

SINGLE_KINDS: Mapping[str, SingleKind[Any]] = {
    kind.name: kind for kind in (LEARNING, AGGREGATION, REGENERATION)
}
