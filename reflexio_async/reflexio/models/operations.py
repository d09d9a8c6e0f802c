"""Generation as a background operation: starting it, reading its status, cancelling it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from reflexio_async._engine.models import (
    EMPTY_DICT,
    EMPTY_LIST,
    NotBlank,
    OrNone,
    Polling,
    Query,
    RequestModel,
    ResponseModel,
    SourceName,
    Starting,
    TimeRange,
)
from reflexio_async.reflexio.models.enums import OperationStatus
from reflexio_async.reflexio.responses import MessageResponse, MsgResponse

ServiceName = Literal["profile_generation", "playbook_generation"]


class RerunProfileGenerationRequest(TimeRange):
    """Learn the profiles of one user again, or of all users when ``user_id`` is absent."""

    user_id: NotBlank | None = None
    source: SourceName | None = None
    extractor_names: list[str] | None = Field(default=None, deprecated=True)


class RerunProfileGenerationStart(RerunProfileGenerationRequest, Starting):
    """``RerunProfileGenerationRequest``, returning a handle."""


class RerunProfileGenerationWait(RerunProfileGenerationRequest, Polling):
    """``RerunProfileGenerationRequest``, waiting."""


class RerunPlaybookGenerationRequest(TimeRange):
    """Learn the user playbooks of one agent version again, from all its users."""

    agent_version: OrNone[NotBlank] = "agent-v0"
    source: SourceName | None = None
    playbook_name: str | None = Field(default=None, deprecated=True)


class RerunPlaybookGenerationStart(RerunPlaybookGenerationRequest, Starting):
    """``RerunPlaybookGenerationRequest``, returning a handle."""


class RerunPlaybookGenerationWait(RerunPlaybookGenerationRequest, Polling):
    """``RerunPlaybookGenerationRequest``, waiting."""


class ManualProfileGenerationRequest(RequestModel):
    """Learn current profiles now, from interactions that were not learned from yet."""

    user_id: NotBlank | None = None
    source: SourceName | None = None
    extractor_names: list[str] | None = Field(default=None, deprecated=True)


class ManualProfileGenerationStart(ManualProfileGenerationRequest, Starting):
    """``ManualProfileGenerationRequest``, returning a handle."""


class ManualProfileGenerationWait(ManualProfileGenerationRequest, Polling):
    """``ManualProfileGenerationRequest``, waiting."""


class ManualPlaybookGenerationRequest(RequestModel):
    """Learn current user playbooks now. Servers ignore ``agent_version``: they learn from every user."""

    agent_version: OrNone[NotBlank] = "agent-v0"
    source: SourceName | None = None
    playbook_name: str | None = Field(default=None, deprecated=True)


class ManualPlaybookGenerationStart(ManualPlaybookGenerationRequest, Starting):
    """``ManualPlaybookGenerationRequest``, returning a handle."""


class ManualPlaybookGenerationWait(ManualPlaybookGenerationRequest, Polling):
    """``ManualPlaybookGenerationRequest``, waiting."""


class RerunProfileGenerationResponse(MsgResponse):
    """The result of a profile rerun.

    ``profiles_generated`` counts every pending profile of the users concerned, not only the new ones.
    """

    operation_id: str = "rerun_profile_generation"
    profiles_generated: int | None = None


class RerunPlaybookGenerationResponse(MsgResponse):
    """The result of a playbook rerun."""

    operation_id: str = "rerun_playbook_generation"
    playbooks_generated: int | None = None


class ManualProfileGenerationResponse(MsgResponse):
    """The result of a manual profile generation. ``profiles_generated`` counts every current profile."""

    profiles_generated: int | None = None


class ManualPlaybookGenerationResponse(MsgResponse):
    """The result of a manual playbook generation."""

    playbooks_generated: int | None = None


class ByService(RequestModel):
    """Names the service whose latest operation is wanted."""

    service_name: Annotated[ServiceName | str, Query()] = "profile_generation"


class OperationStatusInfo(ResponseModel):
    """The latest operation of one service. Times are epoch seconds."""

    service_name: str
    status: OperationStatus | str = Field(union_mode="left_to_right")
    started_at: int
    completed_at: int | None = None
    total_users: int = 0
    processed_users: int = 0
    failed_users: int = 0
    current_user_id: str | None = None
    processed_user_ids: list[str] = EMPTY_LIST
    failed_user_ids: list[dict[str, Any]] = EMPTY_LIST
    request_params: dict[str, Any] = EMPTY_DICT
    stats: dict[str, Any] = EMPTY_DICT
    error_message: str | None = None
    progress_percentage: float = 0.0

    @property
    def operation_id(self) -> str | None:
        """The id that the start of this operation returned; None on servers that have no such ids."""
        value = self.request_params.get("operation_id")
        return value if isinstance(value, str) else None


class GetOperationStatusResponse(MsgResponse):
    """The latest operation. It is None, with ``success`` False, when there was none."""

    operation_status: OperationStatusInfo | None = None


class CancelOperationRequest(RequestModel):
    """Names the service whose operation is cancelled; None: both."""

    service_name: ServiceName | str | None = None


class CancelOperationResponse(MsgResponse):
    """The services that had a running operation. Servers do not stop an operation of a single user."""

    cancelled_services: list[str] = EMPTY_LIST


class ClearUserDataResponse(ResponseModel):
    """How many rows of each kind were deleted."""

    success: bool
    deleted_counts: dict[str, int] = EMPTY_DICT
    message: str | None = None


class BulkDeleteResponse(MessageResponse):
    """How many rows were deleted. Servers do not count every deletion."""

    deleted_count: int = 0


class ClearUserDataRequest(RequestModel, title="clear_user_data"):
    """Names the user whose data is deleted."""

    user_id: NotBlank
