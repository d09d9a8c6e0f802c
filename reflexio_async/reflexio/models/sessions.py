"""Sessions: saying that one is over, recording how it ended, deleting one."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from reflexio_async._engine.models import (
    EMPTY_LIST,
    JsonObject,
    ListOf,
    NotBlank,
    RequestModel,
    ResponseModel,
    SourceName,
    ZeroOrMore,
)
from reflexio_async.reflexio.models.enums import SessionOutcomeFailureReason, SessionOutcomeKind
from reflexio_async.reflexio.models.literals import AnySessionOutcomeKind
from reflexio_async.reflexio.responses import MessageResponse


class FinalizeSessionRequest(RequestModel, title="finalize_session"):
    """Says that nothing more will be published in a session."""

    user_id: NotBlank
    session_id: NotBlank


class FinalizeSessionResponse(MessageResponse):
    """``accepted`` is False when the server does not know the session."""

    accepted: bool = False


class OutcomeFields(RequestModel):
    """How a session ended: what the two requests below share."""

    outcome: AnySessionOutcomeKind
    occurred_at: ZeroOrMore = Field(description="Epoch seconds.")
    label: Annotated[str, Field(max_length=128)] | None = None
    metadata: JsonObject | None = None
    value: float | None = Field(default=None, description="A measure of your own, such as a rating.")


class SetSessionOutcomeRequest(OutcomeFields):
    """How one session ended. It can be recorded only once."""

    session_id: NotBlank


class ScopedSetSessionOutcomeRequest(OutcomeFields):
    """``SetSessionOutcomeRequest`` of a session-scoped client, which fills in ``session_id``."""

    session_id: NotBlank | None = None


class SetSessionOutcomeResponse(MessageResponse):
    """What was recorded."""

    finalized_trajectory_digest: str | None = None
    outcome_contract_digest: str | None = None
    outcome_id: str | None = None
    outcome_revision: int | None = None
    reason: SessionOutcomeFailureReason | str | None = Field(
        default=None, union_mode="left_to_right", description="Why it was refused."
    )
    recorded: bool = Field(default=False, description="False when the same outcome had been recorded before.")
    source: str | None = None
    user_id: str | None = None


class GetSessionOutcomesRequest(RequestModel):
    """Which recorded outcomes are wanted, newest first."""

    end_time: ZeroOrMore | None = Field(default=None, description="Epoch seconds.")
    label: str | None = None
    offset: ZeroOrMore = 0
    outcome: AnySessionOutcomeKind | None = None
    session_ids: Annotated[ListOf[str], Field(max_length=100)] | None = None
    source: SourceName | None = None
    start_time: ZeroOrMore | None = Field(default=None, description="Epoch seconds.")
    top_k: Annotated[int, Field(le=1000, ge=1)] = 100
    user_id: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start_time is not None and self.end_time is not None and self.start_time > self.end_time:
            message = "end_time must not be before start_time"
            raise ValueError(message)
        return self


class SessionOutcomeRecord(ResponseModel):
    """How one session ended. Times are epoch seconds."""

    user_id: str
    session_id: str
    outcome: SessionOutcomeKind | str = Field(union_mode="left_to_right")
    occurred_at: int
    source: str
    created_at: int
    finalized_trajectory_digest: str | None = None
    is_inferred: bool = False
    label: str | None = None
    metadata: dict[str, Any] | None = None
    outcome_contract_digest: str | None = None
    outcome_id: str | None = None
    outcome_revision: int | None = None
    trajectory_through_request_id: str | None = None
    value: float | None = None


class GetSessionOutcomesResponse(MessageResponse):
    """Outcomes found."""

    session_outcomes: list[SessionOutcomeRecord] = EMPTY_LIST


class DeleteSessionResponse(MessageResponse):
    """How many requests were deleted with the session."""

    deleted_requests_count: int = 0


class DeleteSessionRequest(RequestModel, title="delete_session"):
    """Names one session."""

    session_id: NotBlank
