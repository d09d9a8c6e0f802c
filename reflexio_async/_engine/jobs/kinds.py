"""The kinds of job: how a start's answer is read, which operation is ours, and what a result is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async.reflexio.models.enums import (
    AggregationStatus,
    LearningStatus,
    OperationStatus,
    RegenerationStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reflexio_async.legacy.feedback_models import RerunFeedbackGenerationResponse
    from reflexio_async.reflexio.models.aggregation import PlaybookAggregationOperation
    from reflexio_async.reflexio.models.evaluation import RegenerateStatusResponse
    from reflexio_async.reflexio.models.interactions import LearningStatusResponse
    from reflexio_async.reflexio.models.operations import (
        ManualPlaybookGenerationResponse,
        ManualProfileGenerationResponse,
        OperationStatusInfo,
        RerunPlaybookGenerationResponse,
        RerunProfileGenerationResponse,
    )

T = TypeVar("T")

# The server's own clean-up reports an operation older than 600 s as failed while it may still write.
_GAVE_UP = "Auto-recovered"


class Dialect(Enum):
    """How a server answers the start of a generation; recognised from its first answer."""

    CORRELATED = "a unique operation_id, echoed in the status"
    UNCORRELATED = "a constant operation_id; matched by start time and parameters"
    SYNCHRONOUS = "the answer comes when the work is done"


@dataclass(frozen=True, slots=True)
class JobKind:
    """The name in tokens and logs, and the default waiting in seconds."""

    name: str
    interval: float
    timeout: float


@dataclass(frozen=True, slots=True)
class SlotKind(JobKind, Generic[T]):
    """A generation that occupies the one slot of its service.

    ``count_field`` names the number in the answer that says the work is already done. ``mode`` is what
    the server notes of manual generations, whose call answers only when they are done. ``answer`` is
    the file and the name of the model of the answer, loaded when the first job has ended.
    """

    service: str
    constant_id: str
    echoed: tuple[str, ...]
    count_field: str
    mode: str | None
    answer: tuple[str, str]

    def params(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a request that the server echoes in the status."""
        return {name: request.get(name) for name in self.echoed}

    def dialect_of(self, answer: Any) -> Dialect:
        """How the server that gave ``answer`` (a successful start) answers starts."""
        if self.mode is not None or getattr(answer, self.count_field) is not None:
            return Dialect.SYNCHRONOUS
        return Dialect.UNCORRELATED if answer.operation_id == self.constant_id else Dialect.CORRELATED

    def result(self, info: OperationStatusInfo) -> T:
        """What the call would have answered, had it waited for the operation ``info``."""
        module, name = self.answer
        model = getattr(import_module(f"reflexio_async.reflexio.models.{module}"), name)
        values: dict[str, Any] = {self.count_field: info.stats.get("total_generated")}
        if self.mode is None:
            values["operation_id"] = info.operation_id or self.constant_id
        words = self.service.replace("_", " ").capitalize()
        result: T = model(success=True, msg=f"{words} completed", **values)
        return result

    def asked_for(self, params: Mapping[str, Any], info: OperationStatusInfo) -> bool:
        """Whether ``info`` shows an operation with our parameters (an absent one and null are equal)."""
        theirs = info.request_params
        return theirs.get("mode") == self.mode and all(
            theirs.get(name) == value for name, value in params.items()
        )


@dataclass(frozen=True, slots=True)
class SingleKind(JobKind, Generic[T]):
    """A job with a status route of its own: ``read`` makes a JobStatus of its answer.

    ``per_second`` is the limit of that route for all jobs of the kind together, and with those of the kind
    ``limited_with``; ``concurrency`` is how many are asked for at once then, ``burst`` how many may go
    beyond the limit after a rest. ``appears_late`` says that a 404
    means "not yet" until the job has been seen.
    """

    read: Callable[[T], JobStatus]
    per_second: float | None = None
    concurrency: int = 8
    burst: int = 1
    limited_with: str = ""
    appears_late: bool = False
    cancellable: bool = False


_RERUN_SECONDS = {"interval": 1.0, "timeout": 600.0}

PROFILE_RERUN: SlotKind[RerunProfileGenerationResponse] = SlotKind(
    name="profile_rerun",
    **_RERUN_SECONDS,
    service="profile_generation",
    constant_id="rerun_profile_generation",
    echoed=("user_id", "source"),
    count_field="profiles_generated",
    mode=None,
    answer=("operations", "RerunProfileGenerationResponse"),
)
PLAYBOOK_RERUN: SlotKind[RerunPlaybookGenerationResponse] = SlotKind(
    name="playbook_rerun",
    **_RERUN_SECONDS,
    service="playbook_generation",
    constant_id="rerun_playbook_generation",
    echoed=("agent_version",),
    count_field="playbooks_generated",
    mode=None,
    answer=("operations", "RerunPlaybookGenerationResponse"),
)
FEEDBACK_RERUN: SlotKind[RerunFeedbackGenerationResponse] = SlotKind(
    name="feedback_rerun",
    **_RERUN_SECONDS,
    service="feedback_generation",
    constant_id="rerun_feedback_generation",
    echoed=("agent_version",),
    count_field="feedbacks_generated",
    mode=None,
    answer=("feedback", "RerunFeedbackGenerationResponse"),
)
MANUAL_PROFILES: SlotKind[ManualProfileGenerationResponse] = SlotKind(
    name="manual_profiles",
    **_RERUN_SECONDS,
    service="profile_generation",
    constant_id="",
    echoed=("user_id", "source"),
    count_field="profiles_generated",
    mode="manual_regular",
    answer=("operations", "ManualProfileGenerationResponse"),
)
MANUAL_PLAYBOOKS: SlotKind[ManualPlaybookGenerationResponse] = SlotKind(
    name="manual_playbooks",
    **_RERUN_SECONDS,
    service="playbook_generation",
    constant_id="",
    echoed=(),
    count_field="playbooks_generated",
    mode="manual_regular",
    answer=("operations", "ManualPlaybookGenerationResponse"),
)
SLOT_KINDS: Mapping[str, SlotKind[Any]] = {
    kind.name: kind
    for kind in (PROFILE_RERUN, PLAYBOOK_RERUN, FEEDBACK_RERUN, MANUAL_PROFILES, MANUAL_PLAYBOOKS)
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


def operation_status(info: OperationStatusInfo) -> JobStatus:
    """A slot's operation as a JobStatus. A word that this release does not know counts as running."""
    state = _OPERATION_STATES.get(info.status, JobState.RUNNING)
    error = info.error_message
    if error and _GAVE_UP in error:
        error = f"the server gave up watching it, though it may still be writing results ({error})"
    return JobStatus(
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


def failed_users(info: OperationStatusInfo) -> dict[str, str]:
    """User id → the server's reason."""
    return {str(entry.get("user_id")): str(entry.get("error", "")) for entry in info.failed_user_ids}


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
