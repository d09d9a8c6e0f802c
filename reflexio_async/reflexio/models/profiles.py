"""Profiles: facts about users."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool

from reflexio_async._engine.models import (
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
)
from reflexio_async.reflexio.models.enums import ProfileTimeToLive, SearchMode, Status
from reflexio_async.reflexio.models.experiments import RetrievalExperimentAssignment
from reflexio_async.reflexio.models.literals import AnyProfileTimeToLive, AnySearchMode, AnyStatus
from reflexio_async.reflexio.responses import MessageResponse, MsgResponse

NEVER_EXPIRES = 4_102_444_800
"""The server's expiration of a profile that does not expire: the first second of 2100, in epoch seconds."""


class GetUserProfilesRequest(TimeRange):
    """Profiles of one user, newest first."""

    user_id: NotBlank
    top_k: AtLeastOne | None = Field(
        default=30, description="In a request, None means all of them; as a keyword, 30."
    )
    status_filter: ListOf[AnyStatus | None] | None = Field(
        default=None, description="None inside it means current; absent: current only; empty: every status."
    )
    query: str | None = None
    profile_id: str | None = None
    profile_time_to_live: str | None = None
    source: SourceName | None = None
    tags: ListOf[str] | None = None
    force_refresh: StrictBool = Field(default=False, exclude=True, description="Ignore the cached response.")


class ProfileView(ResponseModel):
    """One fact about a user. Times are epoch seconds; ``status`` None means current."""

    profile_id: str
    user_id: str
    content: str
    last_modified_timestamp: int
    generated_from_request_id: str
    profile_time_to_live: ProfileTimeToLive | str = Field(
        default=ProfileTimeToLive.INFINITY, union_mode="left_to_right"
    )
    expiration_timestamp: int = NEVER_EXPIRES
    status: Status | str | None = Field(default=None, union_mode="left_to_right")
    source: str | None = None
    source_span: str | None = None
    source_interaction_ids: list[int] = EMPTY_LIST
    extractor_names: list[str] | None = None
    custom_features: dict[str, Any] | None = None
    tags: list[str] = EMPTY_LIST


class GetProfilesViewResponse(MsgResponse):
    """Profiles found."""

    user_profiles: list[ProfileView]


class UpgradeProfilesRequest(RequestModel):
    """Promote pending profiles to current.

    Servers up to 0.2.32 ignore ``user_id`` and ``profile_ids``, and promote those of the whole organisation.
    """

    user_id: NotBlank | None = None
    profile_ids: ListOf[str] | None = None
    only_affected_users: bool = Field(
        default=True,
        description="Leave profiles of users alone that have none to promote or restore.",
    )


class UpgradeProfilesResponse(MessageResponse):
    """How many profiles changed their status."""

    profiles_promoted: int = 0
    profiles_archived: int = 0
    profiles_deleted: int = 0


class SearchUserProfileRequest(TimeRange):
    """Profiles of one user, nearest in meaning to ``query``."""

    user_id: NotBlank
    custom_feature: str | None = None
    enable_reformulation: bool | None = False
    extractor_name: str | None = None
    generated_from_request_id: str | None = None
    query: str | None = None
    request_id: str | None = None
    search_mode: OrNone[AnySearchMode] = SearchMode.HYBRID
    session_id: str | None = Field(
        default=None, description="The server leaves out what this session was given before."
    )
    source: SourceName | None = None
    tags: ListOf[str] | None = None
    threshold: Fraction | None = None
    top_k: AtLeastOne | None = 10


class SearchProfilesViewResponse(MsgResponse):
    """Profiles found, best first."""

    user_profiles: list[ProfileView]
    experiment: RetrievalExperimentAssignment | None = None


class RerankUserProfilesRequest(RequestModel):
    """Profiles of one user, to be sorted by how well they match ``query``."""

    user_id: NotBlank
    query: str
    profile_ids: ListOf[str]
    top_k: OrNone[AtLeastOne] = 10


class UserProfile(RequestPart):
    """One profile to store as it is."""

    profile_id: NotBlank | None = Field(
        default=None, description="Made by the client when absent; an existing one is overwritten."
    )
    user_id: NotBlank
    content: str
    last_modified_timestamp: int | None = Field(default=None, description="Epoch seconds; now when absent.")
    generated_from_request_id: str | None = Field(default=None, description="``cli-manual`` when absent.")
    custom_features: JsonObject | None = None
    embedding: ListOf[float] = Field(default=(), description="Made by the server.")
    expanded_terms: str | None = None
    expiration_timestamp: int = Field(default=NEVER_EXPIRES, description="Epoch seconds.")
    extractor_names: ListOf[str] | None = None
    merged_into: str | None = None
    notes: str | None = None
    profile_time_to_live: AnyProfileTimeToLive = ProfileTimeToLive.INFINITY
    reader_angle: str | None = None
    source: str | None = Field(default=None, description="``cli-manual`` when absent.")
    source_interaction_ids: ListOf[int] = ()
    source_span: str | None = None
    status: AnyStatus | None = None
    superseded_by: str | None = None
    tags: ListOf[str] | None = None


class AddUserProfileRequest(RequestModel, title="add_user_profile"):
    """Profiles to store as they are."""

    user_profiles: Annotated[
        ListOf[OrMapping[UserProfile]],
        Field(min_length=1),
    ]


class AddUserProfileResponse(ResponseModel):
    """How many profiles were stored."""

    success: bool
    added_count: int = 0
    message: str | None = None


class UpdateUserProfileRequest(RequestModel):
    """Changes of one profile. What is left out stays as it is."""

    user_id: NotBlank
    profile_id: NotBlank
    content: str | None = None
    custom_features: JsonObject | None = None


class UpdateUserProfileResponse(MsgResponse):
    """Whether the profile was changed."""


class DeleteUserProfileResponse(MessageResponse):
    """Whether the profile is deleted. Deleting one that does not exist succeeds."""


class DeleteProfilesByIdsRequest(RequestModel, title="delete_profiles_by_ids"):
    """The profiles to delete."""

    profile_ids: Annotated[ListOf[str], Field(max_length=10000, min_length=1)]


class ProfileChangeLogView(ResponseModel):
    """What one request changed in a user's profiles."""

    id: int
    user_id: str
    request_id: str
    added_profiles: list[ProfileView]
    removed_profiles: list[ProfileView]
    created_at: int | None = None


class ProfileChangeLogViewResponse(ResponseModel):
    """The changes of profiles."""

    success: bool
    profile_change_logs: list[ProfileChangeLogView]


class GetProfileStatisticsResponse(MsgResponse):
    """How many profiles there are of each status."""

    archived_count: int = 0
    current_count: int = 0
    expiring_soon_count: int = 0
    pending_count: int = 0


class StorageStatsResponse(MsgResponse):
    """How much is stored of one user."""

    newest_profile_modified: datetime | None = None
    oldest_profile_modified: datetime | None = None
    playbook_count: int = 0
    profile_count: int = 0


class DowngradeProfilesRequest(RequestModel):
    """Restore archived profiles. Servers up to 0.2.32 ignore ``user_id`` and ``profile_ids``."""

    only_affected_users: bool = Field(
        default=True,
        description="Leave profiles of users alone that have none to promote or restore.",
    )
    profile_ids: ListOf[str] | None = None
    user_id: str | None = None


class DowngradeProfilesResponse(MessageResponse):
    """How many profiles changed their status."""

    profiles_demoted: int = 0
    profiles_restored: int = 0


class AllProfiles(RequestModel, title="get_all_profiles"):
    """Which profiles of all users are wanted."""

    limit: Annotated[int, Query()] = Field(default=100, description="-1: all of them.")
    status_filter: Annotated[Literal["current", "pending", "archived"] | None, Query()] = Field(
        default=None, description="Absent: current only."
    )
    profile_id: Annotated[str | None, Query()] = None
    user_id: Annotated[str | None, Query()] = None
    query: Annotated[str | None, Query()] = None
    source: Annotated[str | None, Query()] = None
    profile_time_to_live: Annotated[str | None, Query()] = None
    start_time: Annotated[int | None, Query()] = Field(default=None, description="Epoch seconds.")
    end_time: Annotated[int | None, Query()] = Field(default=None, description="Epoch seconds.")
    date_field: Annotated[Literal["last_modified_timestamp", "created_at"], Query()] = (
        "last_modified_timestamp"
    )
    include_tombstones: Annotated[bool, Query()] = False


class ByUser(RequestModel, title="storage_stats"):
    """Names one user."""

    user_id: Annotated[NotBlank, Query()]


class DeleteUserProfileRequest(RequestModel, title="delete_profile"):
    """Names one profile of a user."""

    user_id: NotBlank
    profile_id: str = ""
    search_query: str = ""
