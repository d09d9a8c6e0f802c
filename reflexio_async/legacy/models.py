"""January's profiles, interactions, request groups and evaluation results: requests and responses."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from reflexio_async._engine.models import (
    EMPTY_LIST,
    ListOf,
    NotBlank,
    OrMapping,
    Query,
    RequestModel,
    RequestPart,
    ResponseModel,
    TimeRange,
    epoch_now,
)
from reflexio_async.reflexio.models.enums import ProfileTimeToLive, RegularVsShadow, Status, UserActionType
from reflexio_async.reflexio.models.literals import AnyStatus, AnyUserActionType
from reflexio_async.reflexio.models.profiles import NEVER_EXPIRES
from reflexio_async.reflexio.responses import MessageResponse, MsgResponse


class InteractionData(RequestPart):
    """One turn of a conversation."""

    content: str = ""
    created_at: int = Field(default_factory=epoch_now, description="Epoch seconds.")
    image_encoding: str = ""
    interacted_image_url: str = ""
    role: str = "User"
    shadow_content: str = ""
    user_action: AnyUserActionType = UserActionType.NONE
    user_action_description: str = ""


class PublishUserInteractionRequest(RequestModel, title="publish_interaction"):
    """Turns of one request group of one user."""

    request_id: NotBlank | None = None
    user_id: NotBlank
    interactions: Annotated[
        ListOf[OrMapping[InteractionData]],
        Field(min_length=1),
    ] = Field(
        validation_alias=AliasChoices("interactions", "interaction_data_list"),
        serialization_alias="interaction_data_list",
    )
    agent_version: str = ""
    request_group: str | None = None
    source: str = ""


class PublishUserInteractionResponse(MessageResponse):
    """Whether the turns were stored."""


class GetRequestsRequest(TimeRange):
    """Stored requests, by group. ``top_k`` counts requests."""

    request_id: str | None = None
    top_k: int | None = 30
    user_id: str | None = None


class SearchInteractionRequest(TimeRange):
    """Turns of one user that match ``query``."""

    user_id: NotBlank
    most_recent_k: int | None = None
    query: str | None = None
    request_id: str | None = None
    top_k: int | None = None


class GetInteractionsRequest(TimeRange):
    """Turns of one user."""

    user_id: NotBlank
    top_k: int | None = 30


class Interaction(ResponseModel):
    """One stored turn."""

    user_id: str
    request_id: str
    content: str = ""
    created_at: int | None = None
    embedding: list[float] = EMPTY_LIST
    image_encoding: str = ""
    interacted_image_url: str = ""
    interaction_id: int = 0
    role: str = "User"
    shadow_content: str = ""
    user_action: UserActionType | str = Field(default=UserActionType.NONE, union_mode="left_to_right")
    user_action_description: str = ""


class GetInteractionsResponse(MsgResponse):
    """Turns found."""

    interactions: list[Interaction]


class SearchInteractionResponse(GetInteractionsResponse):
    """Turns found by a search."""


class Request(ResponseModel):
    """One publish, without its turns."""

    request_id: str
    user_id: str
    agent_version: str = ""
    created_at: int | None = None
    request_group: str | None = None
    source: str = ""


class RequestData(ResponseModel):
    """One stored request with its turns."""

    request: Request
    interactions: list[Interaction]


class RequestGroup(ResponseModel):
    """The requests of one group."""

    request_group: str
    requests: list[RequestData]


class GetRequestsResponse(MsgResponse):
    """Stored requests."""

    request_groups: list[RequestGroup]


class SearchUserProfileRequest(TimeRange):
    """Profiles of one user, nearest in meaning to ``query``."""

    user_id: NotBlank
    custom_feature: str | None = None
    generated_from_request_id: str | None = None
    query: str | None = None
    source: str | None = None
    threshold: float | None = 0.5
    top_k: int | None = 10


class GetUserProfilesRequest(TimeRange):
    """Profiles of one user."""

    user_id: NotBlank
    status_filter: ListOf[AnyStatus | None] | None = Field(
        default=None, description="None inside it means current."
    )
    top_k: int | None = 30


class UserProfile(ResponseModel):
    """One fact about a user. Times are epoch seconds; ``status`` None means current."""

    profile_id: str
    user_id: str
    profile_content: str
    last_modified_timestamp: int
    generated_from_request_id: str
    custom_features: dict[str, Any] | None = None
    embedding: list[float] = EMPTY_LIST
    expiration_timestamp: int = NEVER_EXPIRES
    profile_time_to_live: ProfileTimeToLive | str = Field(
        default=ProfileTimeToLive.INFINITY, union_mode="left_to_right"
    )
    source: str | None = None
    status: Status | str | None = Field(default=None, union_mode="left_to_right")


class GetUserProfilesResponse(MsgResponse):
    """Profiles found."""

    user_profiles: list[UserProfile]


class SearchUserProfileResponse(GetUserProfilesResponse):
    """Profiles found, best first."""


class ProfileChangeLog(ResponseModel):
    """What one request changed in a user's profiles. ``created_at`` is in epoch seconds."""

    id: int
    user_id: str
    request_id: str
    added_profiles: list[UserProfile]
    removed_profiles: list[UserProfile]
    mentioned_profiles: list[UserProfile]
    created_at: int | None = None


class ProfileChangeLogResponse(ResponseModel):
    """The changes of profiles."""

    success: bool
    profile_change_logs: list[ProfileChangeLog]


class DeleteRequestGroupResponse(MessageResponse):
    """How many requests were deleted with the group."""

    deleted_requests_count: int = 0


class DeleteRequestGroupRequest(RequestModel, title="delete_request_group"):
    """Names one request group."""

    request_group: NotBlank


class AllProfiles(RequestModel, title="get_all_profiles"):
    """Which profiles of all users are wanted."""

    limit: Annotated[int, Query()] = 100
    status_filter: Annotated[Literal["current", "pending", "archived"] | None, Query()] = None


class GetAgentSuccessEvaluationResultsRequest(RequestModel):
    """Judgements of whether the agent succeeded."""

    agent_version: str | None = None
    limit: int | None = 100


class AgentSuccessEvaluationResult(ResponseModel):
    """The judgement on one request. ``created_at`` is in epoch seconds."""

    agent_version: str
    request_id: str
    is_success: bool
    failure_type: str
    failure_reason: str
    agent_prompt_update: str
    created_at: int | None = None
    embedding: list[float] = EMPTY_LIST
    evaluation_name: str | None = None
    regular_vs_shadow: RegularVsShadow | str | None = Field(default=None, union_mode="left_to_right")
    result_id: int = 0


class GetAgentSuccessEvaluationResultsResponse(MsgResponse):
    """Judgements found."""

    agent_success_evaluation_results: list[AgentSuccessEvaluationResult]
