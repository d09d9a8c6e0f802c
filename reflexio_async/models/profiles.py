"""Profiles: facts about a user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from reflexio_async.models.base import (
    AtLeastOne,
    NotBlank,
    RequestModel,
    ResponseModel,
    SourceName,
    UtcDatetime,
)
from reflexio_async.models.enums import ProfileTimeToLive, Status


class GetUserProfilesRequest(RequestModel):
    """Profiles of one user, newest first."""

    user_id: NotBlank
    top_k: AtLeastOne | None = Field(default=30, description="None: all of them.")
    status_filter: Sequence[Status | None] | None = Field(
        default=None, description="None inside it means current; absent: current only; empty: every status."
    )
    query: str | None = None
    profile_id: str | None = None
    profile_time_to_live: str | None = None
    source: SourceName | None = None
    tags: Sequence[str] | None = None
    start_time: UtcDatetime | None = None
    end_time: UtcDatetime | None = None


class ProfileView(ResponseModel):
    """One fact about a user; times are epoch seconds, ``status`` None means current."""

    profile_id: str
    user_id: str
    content: str
    last_modified_timestamp: int
    generated_from_request_id: str
    profile_time_to_live: ProfileTimeToLive | str = Field(
        default=ProfileTimeToLive.INFINITY, union_mode="left_to_right"
    )
    expiration_timestamp: int = 4102444800
    status: Status | str | None = Field(default=None, union_mode="left_to_right")
    source: str | None = None
    source_span: str | None = None
    source_interaction_ids: list[int] = Field(default_factory=list[int])
    extractor_names: list[str] | None = None
    custom_features: dict[str, Any] | None = None
    tags: list[str] = Field(default_factory=list)


class GetProfilesViewResponse(ResponseModel):
    """Profiles found."""

    success: bool
    user_profiles: list[ProfileView]
    msg: str | None = None


class UpgradeProfilesRequest(RequestModel):
    """Promote pending profiles to current.

    Servers up to 0.2.32 ignore ``user_id`` and ``profile_ids``: the whole organisation is promoted.
    """

    user_id: NotBlank | None = None
    profile_ids: Sequence[str] | None = None
    only_affected_users: bool = False


class UpgradeProfilesResponse(ResponseModel):
    """What moved."""

    success: bool
    message: str = ""
    profiles_promoted: int = 0
    profiles_archived: int = 0
    profiles_deleted: int = 0
