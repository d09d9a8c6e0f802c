"""Schemas of profiles."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from reflexio_async.sandbox.reflexio.schemas import common

NEVER_EXPIRES = 4_102_444_800
"""The expiration of a profile that does not expire: the first second of 2100."""


class ProfileTimeToLiveSchema(Enum):
    """How long a profile is kept."""

    ONE_DAY = "one_day"
    ONE_WEEK = "one_week"
    ONE_MONTH = "one_month"
    ONE_QUARTER = "one_quarter"
    ONE_YEAR = "one_year"
    INFINITY = "infinity"


class GetUserProfilesRequestSchema(common.TimeRangeSchema):
    """Read profiles of one user."""

    user_id: common.NotBlank
    top_k: common.PositiveInt | None = 30
    status_filter: list[common.StatusSchema | None] | None = None
    query: str | None = None
    profile_id: str | None = None
    source: common.Source | None = None
    profile_time_to_live: str | None = None
    tags: list[str] | None = None


class AllProfilesQuerySchema(BaseModel):
    """Read profiles of all users. An unknown status is ignored."""

    limit: int = 100
    status_filter: str | None = None
    profile_id: str | None = None
    user_id: str | None = None
    query: str | None = None
    source: str | None = None
    profile_time_to_live: str | None = None
    start_time: int | None = None
    end_time: int | None = None
    date_field: Literal["last_modified_timestamp", "created_at"] = "last_modified_timestamp"
    include_tombstones: bool = False


class StorageStatsQuerySchema(BaseModel):
    """Count the rows of one user."""

    user_id: str


class SearchUserProfileRequestSchema(common.SearchSchema):
    """Search profiles of one user."""

    user_id: common.NotBlank
    top_k: common.PositiveInt | None = 10
    generated_from_request_id: str | None = None
    session_id: str | None = None
    source: common.Source | None = None
    custom_feature: str | None = None
    extractor_name: str | None = None
    tags: list[str] | None = None
    enable_reformulation: bool | None = False


class RerankUserProfilesRequestSchema(BaseModel):
    """Sort profiles by their similarity to a query."""

    user_id: common.NotBlank
    query: common.NotBlank
    profile_ids: list[str]
    top_k: common.PositiveInt = 10


class UserProfileSchema(BaseModel):
    """A profile as a caller writes it."""

    profile_id: str
    user_id: str
    content: str
    last_modified_timestamp: int
    generated_from_request_id: str
    profile_time_to_live: ProfileTimeToLiveSchema = ProfileTimeToLiveSchema.INFINITY
    expiration_timestamp: int = NEVER_EXPIRES
    custom_features: dict[str, Any] | None = None
    source: str | None = None
    status: common.StatusSchema | None = None
    extractor_names: list[str] | None = None
    expanded_terms: str | None = None
    tags: list[str] | None = None
    source_interaction_ids: list[int] = []
    embedding: common.Embedding = []
    source_span: str | None = None
    notes: str | None = None
    reader_angle: str | None = None
    merged_into: str | None = None
    superseded_by: str | None = None


class AddUserProfileRequestSchema(BaseModel):
    """Store profiles. An existing id is overwritten."""

    user_profiles: Annotated[list[UserProfileSchema], Field(min_length=1)]


class UpdateUserProfileRequestSchema(BaseModel):
    """Change the given fields of a profile."""

    user_id: str
    profile_id: str
    content: str | None = None
    custom_features: dict[str, Any] | None = None


class DeleteUserProfileRequestSchema(BaseModel):
    """Delete a profile. A search query is accepted and deletes nothing."""

    user_id: common.NotBlank
    profile_id: str = ""
    search_query: str = ""


class DeleteProfilesByIdsRequestSchema(BaseModel):
    """Delete profiles."""

    profile_ids: Annotated[list[str], Field(min_length=1, max_length=10_000)]


class UpgradeProfilesRequestSchema(BaseModel):
    """Make pending profiles current. All fields are ignored (server-behaviour: Upgrade and downgrade)."""

    user_id: common.NotBlank | None = None
    profile_ids: list[str] | None = None
    only_affected_users: bool = False


class DowngradeProfilesRequestSchema(UpgradeProfilesRequestSchema):
    """Make archived profiles current. All fields are ignored."""
