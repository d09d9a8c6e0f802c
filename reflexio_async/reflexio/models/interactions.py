"""Interactions: publishing them, reading them, deleting them."""

from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from reflexio_async._engine.models import (
    EMPTY_DICT,
    EMPTY_LIST,
    AtLeastOne,
    Fraction,
    JsonObject,
    ListOf,
    NotBlank,
    OrMapping,
    OrNone,
    Query,
    RequestModel,
    RequestPart,
    ResponseModel,
    SourceName,
    TimeRange,
    ZeroOrMore,
    epoch_now,
)
from reflexio_async.reflexio.models.enums import (
    LearningStatus,
    SearchMode,
    UserActionType,
)
from reflexio_async.reflexio.models.literals import (
    AnyCitationKind,
    AnyRetrievedLearningKind,
    AnySearchMode,
    AnyUserActionType,
)
from reflexio_async.reflexio.responses import MessageResponse, MsgResponse

DEFAULT_AGENT_VERSION = "agent-v0"
"""The agent version of publishes that name none, as in the official client."""


class InteractionPart(RequestPart):
    """A part of a publish. Unknown fields are dropped and reported in the response's ``warnings``."""

    model_config = ConfigDict(extra="allow")


class ToolUsed(InteractionPart):
    """A tool that the agent used in a turn."""

    tool_name: str
    status: str = ""
    tool_data: JsonObject = EMPTY_DICT


class Citation(InteractionPart):
    """A learning that the agent cited in a turn."""

    kind: AnyCitationKind
    real_id: str
    tag: str = ""
    title: str = ""


class RetrievedLearning(InteractionPart):
    """A learning that was retrieved for a turn."""

    kind: AnyRetrievedLearningKind
    learning_id: Annotated[str, Field(min_length=1, max_length=1000)]
    exposure_receipt: Annotated[str, Field(max_length=8192)] | None = None
    exposure_receipt_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class InteractionData(InteractionPart):
    """One turn of a conversation. The server drops an empty turn, with a warning."""

    role: Annotated[str, Field(max_length=1000)] = "User"
    content: Annotated[str, Field(max_length=1_000_000)] = ""
    created_at: int = Field(default_factory=epoch_now, description="Epoch seconds; now when absent.")
    shadow_content: Annotated[str, Field(max_length=1_000_000)] = ""
    expert_content: Annotated[str, Field(max_length=1_000_000)] = ""
    user_action: AnyUserActionType = UserActionType.NONE
    user_action_description: Annotated[str, Field(max_length=10_000)] = ""
    interacted_image_url: Annotated[str, Field(max_length=2048)] = ""
    image_encoding: Annotated[str, Field(max_length=15_000_000)] = ""
    tools_used: Annotated[
        ListOf[OrMapping[ToolUsed]],
        Field(max_length=1000),
    ] = ()
    citations: Annotated[
        ListOf[OrMapping[Citation]],
        Field(max_length=1000),
    ] = ()
    retrieved_learnings: Annotated[
        ListOf[OrMapping[RetrievedLearning]],
        Field(max_length=1000),
    ] = ()

    @model_validator(mode="after")
    def _action_is_described(self) -> Self:
        if self.user_action is not UserActionType.NONE and not self.user_action_description.strip():
            message = "user_action needs a user_action_description"
            raise ValueError(message)
        return self


class PublishUserInteractionRequest(RequestModel, title="publish_interaction"):
    """Turns of one session of one user, stored together under one ``request_id``."""

    user_id: NotBlank
    session_id: NotBlank
    interactions: Annotated[
        ListOf[OrMapping[InteractionData]],
        Field(min_length=1, max_length=1000),
    ] = Field(
        validation_alias=AliasChoices("interactions", "interaction_data_list"),
        serialization_alias="interaction_data_list",
    )
    request_id: NotBlank | None = Field(
        default=None, description="A server stores it only once; made by the client when absent."
    )
    source: SourceName = ""
    agent_version: Annotated[str, Field(max_length=1000)] = ""
    session_finished: bool = False
    skip_aggregation: bool = False
    force_extraction: bool = False
    evaluation_only: bool = False
    override_learning_stall: bool = False
    retrieval_experiment_id: str | None = None
    retrieval_experiment_arm: Literal["treatment", "holdout"] | None = None
    wait_for_response: Annotated[bool, Query()] = Field(
        default=False, description="Wait until the server has learned from it, or has deferred that."
    )

    @model_validator(mode="after")
    def _evaluation_only_extracts_nothing(self) -> Self:
        if self.evaluation_only and self.force_extraction:
            message = "evaluation_only excludes force_extraction"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _experiment_is_named_whole(self) -> Self:
        if (self.retrieval_experiment_id is None) != (self.retrieval_experiment_arm is None):
            message = "retrieval_experiment_id and retrieval_experiment_arm go together"
            raise ValueError(message)
        return self


class PublishUserInteractionResponse(MessageResponse):
    """What was stored, and the state of learning from it.

    ``accepted``: it is not stored yet. The server has only accepted it (HTTP 202), and stores it later;
    ``get_requests(request_id=…)`` finds it then. Nothing is known about learning.
    """

    accepted: bool = False
    warnings: list[str] = EMPTY_LIST
    request_id: str | None = None
    storage_type: str | None = None
    storage_label: str | None = None
    endpoint_url: str | None = None
    profiles_added: int | None = None
    profiles_updated: int | None = None
    playbooks_added: int | None = None
    playbooks_updated: int | None = None
    learning_status: str | None = None
    learning_reason: str | None = None


class ByRequest(RequestModel, title="get_learning_status"):
    """Names one published request."""

    request_id: Annotated[NotBlank, Query()]


class LearningStatusResponse(ResponseModel):
    """The state of learning from one published request."""

    status: LearningStatus | str = Field(union_mode="left_to_right")
    reason: str | None = None


class GetRequestsRequest(TimeRange):
    """Stored requests, by session. ``top_k`` and ``offset`` count sessions."""

    user_id: str | None = None
    request_id: str | None = None
    session_id: str | None = None
    source: SourceName | None = None
    top_k: AtLeastOne | None = 30
    offset: ZeroOrMore | None = 0


class InteractionView(ResponseModel):
    """One stored turn. ``created_at`` is in epoch seconds."""

    interaction_id: int = 0
    user_id: str
    request_id: str
    created_at: int | None = None
    role: str = "User"
    content: str = ""
    shadow_content: str = ""
    expert_content: str = ""
    user_action: UserActionType | str = Field(default=UserActionType.NONE, union_mode="left_to_right")
    user_action_description: str = ""
    interacted_image_url: str = ""
    tools_used: list[dict[str, Any]] = EMPTY_LIST
    retrieved_learnings: list[dict[str, Any]] = EMPTY_LIST


class Request(ResponseModel):
    """One publish, without its turns. ``created_at`` is in epoch seconds."""

    request_id: str
    user_id: str
    session_id: str
    created_at: int | None = None
    source: str = ""
    agent_version: str = ""
    evaluation_only: bool = False
    retrieval_experiment_id: str | None = None
    retrieval_experiment_arm: str | None = None


class RequestDataView(ResponseModel):
    """One stored request with its turns."""

    request: Request
    interactions: list[InteractionView]


class SessionView(ResponseModel):
    """The requests of one session."""

    session_id: str
    requests: list[RequestDataView]


class GetRequestsViewResponse(MsgResponse):
    """Stored requests. ``has_more`` says that there may be more at a higher ``offset``."""

    sessions: list[SessionView]
    has_more: bool = False


class SearchInteractionRequest(TimeRange):
    """Turns of one user that match ``query``. Without ``query`` nothing is found."""

    user_id: NotBlank
    most_recent_k: AtLeastOne | None = Field(
        default=None, description="How many turns to search in, newest first."
    )
    query: str | None = None
    request_id: str | None = None
    search_mode: OrNone[AnySearchMode] = SearchMode.HYBRID
    threshold: Fraction | None = None
    top_k: AtLeastOne | None = Field(default=None, description="Ignored by servers up to 0.2.32.")


class SearchInteractionsViewResponse(MsgResponse):
    """Turns found."""

    interactions: list[InteractionView]


class GetInteractionsRequest(TimeRange):
    """Turns of one user."""

    user_id: NotBlank
    top_k: AtLeastOne | None = Field(
        default=30, description="In a request, None means all of them; as a keyword, 30."
    )


class GetInteractionsViewResponse(MsgResponse):
    """Turns found."""

    interactions: list[InteractionView]


class DeleteUserInteractionResponse(MessageResponse):
    """Whether the turn is deleted. Deleting one that does not exist succeeds."""


class DeleteRequestResponse(MessageResponse):
    """Whether the request is deleted. Deleting one that does not exist succeeds."""


class DeleteRequestsByIdsRequest(RequestModel, title="delete_requests_by_ids"):
    """The requests to delete, with their turns."""

    request_ids: Annotated[ListOf[str], Field(max_length=10000, min_length=1)]


class AllInteractions(RequestModel, title="get_all_interactions"):
    """How many turns of all users are wanted."""

    limit: Annotated[int, Query()] = Field(default=100, description="-1: all of them.")


class DeleteUserInteractionRequest(RequestModel, title="delete_interaction"):
    """Names one turn of one user."""

    user_id: NotBlank
    interaction_id: AtLeastOne


class DeleteRequestRequest(RequestModel, title="delete_request"):
    """Names one published request."""

    request_id: NotBlank
