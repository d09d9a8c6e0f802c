"""Requests and responses of the calls of ``client.legacy``: request groups instead of sessions."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from reflexio_async._engine.models import (
    NotBlank,
    OrMapping,
    Query,
    RequestModel,
    RequestPart,
    ResponseModel,
    UtcDatetime,
    empty_list,
    epoch_now,
)
from reflexio_async.reflexio.models.enums import ProfileTimeToLive, Status, UserActionType
from reflexio_async.reflexio.models.literals import AnyUserActionType
from reflexio_async.reflexio.models.profiles import NEVER_EXPIRES


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


class PublishUserInteractionRequest(RequestModel):
    """Turns of one request group of one user."""

    user_id: NotBlank
    interactions: Annotated[
        Sequence[OrMapping[InteractionData]],
        Field(min_length=1),
    ] = Field(
        validation_alias=AliasChoices("interactions", "interaction_data_list"),
        serialization_alias="interaction_data_list",
    )
    agent_version: str = ""
    request_group: str | None = None
    source: str = ""


class PublishUserInteractionResponse(ResponseModel):
    """Whether the turns were stored."""

    success: bool
    message: str = ""


class GetRequestsRequest(RequestModel):
    """Stored requests, by group. ``top_k`` counts requests."""

    end_time: UtcDatetime | None = None
    request_id: str | None = None
    start_time: UtcDatetime | None = None
    top_k: int | None = 30
    user_id: str | None = None


class Interaction(ResponseModel):
    """One stored turn."""

    user_id: str
    request_id: str
    content: str = ""
    created_at: int | None = None
    embedding: list[float] = Field(default_factory=empty_list)
    image_encoding: str = ""
    interacted_image_url: str = ""
    interaction_id: int = 0
    role: str = "User"
    shadow_content: str = ""
    user_action: UserActionType | str = Field(default=UserActionType.NONE, union_mode="left_to_right")
    user_action_description: str = ""


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


class GetRequestsResponse(ResponseModel):
    """Stored requests."""

    success: bool
    request_groups: list[RequestGroup]
    msg: str | None = None


class UserProfile(ResponseModel):
    """One fact about a user. Times are epoch seconds; ``status`` None means current."""

    profile_id: str
    user_id: str
    profile_content: str
    last_modified_timestamp: int
    generated_from_request_id: str
    custom_features: dict[str, Any] | None = None
    embedding: list[float] = Field(default_factory=empty_list)
    expiration_timestamp: int = NEVER_EXPIRES
    profile_time_to_live: ProfileTimeToLive | str = Field(
        default=ProfileTimeToLive.INFINITY, union_mode="left_to_right"
    )
    source: str | None = None
    status: Status | str | None = Field(default=None, union_mode="left_to_right")


class GetUserProfilesResponse(ResponseModel):
    """Profiles found."""

    success: bool
    user_profiles: list[UserProfile]
    msg: str | None = None


class DeleteRequestGroupResponse(ResponseModel):
    """How many requests were deleted with the group."""

    success: bool
    deleted_requests_count: int = 0
    message: str = ""


class DeleteRequestGroupRequest(RequestModel, title="delete_request_group"):
    """Names one request group."""

    request_group: NotBlank


class AllProfiles(RequestModel):
    """Which profiles of any user to give."""

    limit: Annotated[int, Query()] = 100
    status_filter: Annotated[Literal["current", "pending", "archived"] | None, Query()] = None
