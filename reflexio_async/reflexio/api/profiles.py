"""Profiles: facts about users."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, overload
from uuid import uuid4

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.models import Empty, ListOf, OrMapping, drop_none, epoch_now
from reflexio_async._engine.tasks import BackgroundCall
from reflexio_async._engine.warn import warn_caller
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.cached_paths import PROFILES_PATH
from reflexio_async.reflexio.jobs import MANUAL_PROFILES, PROFILE_RERUN
from reflexio_async.reflexio.models.operations import (
    BulkDeleteResponse,
    ManualProfileGenerationRequest,
    ManualProfileGenerationResponse,
    ManualProfileGenerationStart,
    ManualProfileGenerationWait,
    RerunProfileGenerationRequest,
    RerunProfileGenerationResponse,
    RerunProfileGenerationStart,
    RerunProfileGenerationWait,
)
from reflexio_async.reflexio.models.profiles import (
    AddUserProfileRequest,
    AddUserProfileResponse,
    AllProfiles,
    ByUser,
    DeleteProfilesByIdsRequest,
    DeleteUserProfileRequest,
    DeleteUserProfileResponse,
    DowngradeProfilesRequest,
    DowngradeProfilesResponse,
    GetProfileStatisticsResponse,
    GetProfilesViewResponse,
    GetUserProfilesRequest,
    ProfileChangeLogViewResponse,
    RerankUserProfilesRequest,
    SearchProfilesViewResponse,
    SearchUserProfileRequest,
    StorageStatsResponse,
    UpdateUserProfileRequest,
    UpdateUserProfileResponse,
    UpgradeProfilesRequest,
    UpgradeProfilesResponse,
    UserProfile,
)
from reflexio_async.reflexio.server_knowledge import ServerKnowledge
from reflexio_async.reflexio.service import SLOW_CALL_DEADLINE

P = TypeVar("P", UpgradeProfilesRequest, DowngradeProfilesRequest)

RERUN_PROFILE_GENERATION = Endpoint(
    "POST", "/api/rerun_profile_generation", RerunProfileGenerationResponse, per_minute=5
)
MANUAL_PROFILE_GENERATION = Endpoint(
    "POST",
    "/api/manual_profile_generation",
    ManualProfileGenerationResponse,
    per_minute=5,
    deadline=SLOW_CALL_DEADLINE,
    query=(("wait_for_response", "true"),),
)
SEARCH_USER_PROFILES = Endpoint(
    "POST",
    "/api/search_profiles",
    SearchProfilesViewResponse,
    repeatable=True,
    per_minute=120,
    memory="search_memory",
)
RERANK_USER_PROFILES = Endpoint(
    "POST",
    "/api/rerank_user_profiles",
    SearchProfilesViewResponse,
    repeatable=True,
    per_minute=120,
    memory="search_memory",
)
GET_PROFILES = Endpoint(
    "POST", PROFILES_PATH, GetProfilesViewResponse, repeatable=True, memory="search_memory"
)
GET_ALL_PROFILES = Endpoint(
    "GET", "/api/get_all_profiles", GetProfilesViewResponse, per_minute=30, memory="search_memory"
)
ADD_USER_PROFILE = Endpoint(
    "POST",
    "/api/add_user_profile",
    AddUserProfileResponse,
    repeatable=True,
    per_minute=60,
    invalidates=(PROFILES_PATH,),
    memory="create_memory",
)
UPDATE_USER_PROFILE = Endpoint(
    "PUT",
    "/api/update_user_profile",
    UpdateUserProfileResponse,
    invalidates=(PROFILES_PATH,),
    memory="update_memory",
)
DELETE_PROFILE = Endpoint(
    "DELETE",
    "/api/delete_profile",
    DeleteUserProfileResponse,
    invalidates=(PROFILES_PATH,),
    memory="delete_memory",
)
DELETE_PROFILES_BY_IDS = Endpoint(
    "DELETE",
    "/api/delete_profiles_by_ids",
    BulkDeleteResponse,
    invalidates=(PROFILES_PATH,),
    memory="delete_memory",
)
DELETE_ALL_PROFILES = Endpoint(
    "DELETE",
    "/api/delete_all_profiles",
    BulkDeleteResponse,
    per_minute=10,
    invalidates=(PROFILES_PATH,),
    memory="delete_memory",
)
GET_PROFILE_CHANGE_LOG = Endpoint("GET", "/api/profile_change_log", ProfileChangeLogViewResponse)
GET_PROFILE_STATISTICS = Endpoint("GET", "/api/get_profile_statistics", GetProfileStatisticsResponse)
STORAGE_STATS = Endpoint("GET", "/api/storage_stats", StorageStatsResponse, per_minute=120)
UPGRADE_PROFILES = Endpoint(
    "POST",
    "/api/upgrade_all_profiles",
    UpgradeProfilesResponse,
    refusal="return",
    invalidates=(PROFILES_PATH,),
)
DOWNGRADE_PROFILES = Endpoint(
    "POST",
    "/api/downgrade_all_profiles",
    DowngradeProfilesResponse,
    refusal="return",
    invalidates=(PROFILES_PATH,),
)


class ProfileDeletionAPI(API):
    """Deleting a profile: the same in January's API."""

    @overload
    async def delete_profile(
        self,
        user_id: str,
        profile_id: str = "",
        search_query: str = "",
        wait_for_response: Literal[False] = False,
    ) -> BackgroundCall[DeleteUserProfileResponse]: ...
    @overload
    async def delete_profile(
        self, user_id: str, profile_id: str = "", search_query: str = "", *, wait_for_response: Literal[True]
    ) -> DeleteUserProfileResponse: ...
    async def delete_profile(
        self, user_id: str, profile_id: str = "", search_query: str = "", wait_for_response: bool = False
    ) -> DeleteUserProfileResponse | BackgroundCall[DeleteUserProfileResponse]:
        """Delete one profile of a user.

        Returns a BackgroundCall, or with ``wait_for_response`` the response.

        Args:
            user_id: The user.
            profile_id: The profile. A server refuses the call without it, unless it has ``search_query``.
            search_query: January's servers delete the profiles that it finds. Servers up to 0.2.32 accept it,
                and then delete nothing.
            wait_for_response: Wait in the call and return the response.
        """
        fields = {"user_id": user_id, "profile_id": profile_id or None, "search_query": search_query or None}
        request = DeleteUserProfileRequest(**drop_none(fields))
        return await self._in_background(DELETE_PROFILE, request, wait_for_response)


class ProfilesAPI(ProfileDeletionAPI):
    """Calls about profiles."""

    _server: ServerKnowledge

    @takes(RerunProfileGenerationStart, waiting=RerunProfileGenerationWait)
    async def rerun_profile_generation(
        self, request: RerunProfileGenerationRequest
    ) -> Job[RerunProfileGenerationResponse]:
        """Learn the profiles of one user again, or without ``user_id`` those of all users, as a Job.

        The results are pending until ``upgrade_profiles`` promotes them. A server runs one rerun at a time;
        further ones wait in this client's lane.
        """
        return await self._start(RERUN_PROFILE_GENERATION, request, PROFILE_RERUN)

    @takes(ManualProfileGenerationStart, waiting=ManualProfileGenerationWait)
    async def manual_profile_generation(
        self, request: ManualProfileGenerationRequest
    ) -> BackgroundCall[ManualProfileGenerationResponse]:
        """Learn current profiles now, from interactions that were not learned from yet."""
        return self._run_in_lane(MANUAL_PROFILE_GENERATION, request, MANUAL_PROFILES)

    @takes(SearchUserProfileRequest)
    async def search_user_profiles(self, request: SearchUserProfileRequest) -> SearchProfilesViewResponse:
        """Profiles of one user, nearest in meaning to ``query``.

        With a ``session_id`` the server leaves out what this session was given before, and a failed search is
        not sent again: a second try would skip results.
        """
        return await self._send(SEARCH_USER_PROFILES, request, repeatable=request.session_id is None)

    @takes(SearchUserProfileRequest)
    async def search_profiles(self, request: SearchUserProfileRequest) -> SearchProfilesViewResponse:
        """Deprecated: the old name of ``search_user_profiles``."""
        warn_caller("search_profiles is deprecated: use search_user_profiles", DeprecationWarning)
        return await self._send(SEARCH_USER_PROFILES, request, repeatable=request.session_id is None)

    @takes(RerankUserProfilesRequest)
    async def rerank_user_profiles(self, request: RerankUserProfilesRequest) -> SearchProfilesViewResponse:
        """Profiles of one user, sorted by how well they match ``query``.

        Raises ServerError (503) where the server has reranking switched off.
        """
        return await self._send(RERANK_USER_PROFILES, request)

    @takes(GetUserProfilesRequest, option="force_refresh")
    async def get_profiles(self, request: GetUserProfilesRequest) -> GetProfilesViewResponse:
        """The profiles of one user. The response is cached for ``cache_ttl`` seconds.

        The writes of this client drop the cached response. Changes by others and by generation, which runs
        at the server, are seen after that time, or with ``force_refresh=True``.
        """
        return await self._cached(GET_PROFILES, request, refresh=request.force_refresh)

    async def get_all_profiles(
        self,
        limit: int = 100,
        status_filter: Literal["current", "pending", "archived"] | None = None,
        user_id: str | None = None,
        profile_id: str | None = None,
        query: str | None = None,
        source: str | None = None,
        profile_time_to_live: str | None = None,
        start_time: int | None = None,
        end_time: int | None = None,
        date_field: Literal["last_modified_timestamp", "created_at"] = "last_modified_timestamp",
        *,
        include_tombstones: bool = False,
    ) -> GetProfilesViewResponse:
        """Profiles of all users.

        Args:
            limit: The most profiles to return; -1: all of them.
            status_filter: Only profiles of this status; None: current ones.
            user_id: Only profiles of this user.
            profile_id: Only this profile.
            query: Only profiles with this text.
            source: Only profiles that were learned from this source.
            profile_time_to_live: Only profiles with this time to live.
            start_time: Only profiles since then, in epoch seconds.
            end_time: Only profiles until then, in epoch seconds.
            date_field: The time that ``start_time`` and ``end_time`` are compared with.
            include_tombstones: Include profiles that were merged or superseded.
        """
        request = AllProfiles(
            limit=limit,
            **drop_none(
                status_filter=status_filter,
                user_id=user_id,
                profile_id=profile_id,
                query=query,
                source=source,
                profile_time_to_live=profile_time_to_live,
                start_time=start_time,
                end_time=end_time,
                # As the official client: the server's default is not sent.
                date_field=None if date_field == "last_modified_timestamp" else date_field,
                include_tombstones=include_tombstones or None,
            ),
        )
        return await self._send(GET_ALL_PROFILES, request)

    async def add_user_profile(self, user_profiles: ListOf[OrMapping[UserProfile]]) -> AddUserProfileResponse:
        """Store profiles as they are, without learning. An existing ``profile_id`` is overwritten.

        Args:
            user_profiles: ``UserProfile`` models, or mappings with ``user_id`` and ``content``. The client
                makes a ``profile_id`` for each that has none. A profile without a source gets ``cli-manual``.
        """
        request = AddUserProfileRequest(user_profiles=user_profiles)
        complete = [_complete(profile) for profile in request.user_profiles]
        return await self._send(ADD_USER_PROFILE, request.model_copy(update={"user_profiles": complete}))

    @takes(UpdateUserProfileRequest)
    async def update_user_profile(self, request: UpdateUserProfileRequest) -> UpdateUserProfileResponse:
        """Change one profile. What is left out stays as it is."""
        return await self._send(UPDATE_USER_PROFILE, request)

    async def delete_profiles_by_ids(self, profile_ids: ListOf[str]) -> BulkDeleteResponse:
        """Delete profiles; ``deleted_count`` says how many."""
        request = DeleteProfilesByIdsRequest(profile_ids=profile_ids)
        return await self._send(DELETE_PROFILES_BY_IDS, request)

    async def delete_all_profiles(self) -> BulkDeleteResponse:
        """Delete every profile of the organisation."""
        return await self._send(DELETE_ALL_PROFILES, Empty())

    async def get_profile_change_log(self) -> ProfileChangeLogViewResponse:
        """What each published request changed in profiles."""
        return await self._send(GET_PROFILE_CHANGE_LOG, Empty())

    async def get_profile_statistics(self) -> GetProfileStatisticsResponse:
        """How many profiles there are of each status."""
        return await self._send(GET_PROFILE_STATISTICS, Empty())

    async def storage_stats(self, user_id: str) -> StorageStatsResponse:
        """How much is stored of one user."""
        request = ByUser(user_id=user_id)
        return await self._send(STORAGE_STATS, request)

    @takes(UpgradeProfilesRequest)
    async def upgrade_profiles(self, request: UpgradeProfilesRequest) -> UpgradeProfilesResponse:
        """Promote pending profiles to current. ``success`` is False when there are none."""
        if request.user_id is not None or request.profile_ids is not None:
            self._server.warn_once(
                "upgrade_profiles: servers up to 0.2.32 ignore user_id and profile_ids: every pending "
                "profile of the whole organisation is promoted, and every archived one deleted"
            )
        return await self._send(UPGRADE_PROFILES, _only_affected_users(request))

    @takes(DowngradeProfilesRequest)
    async def downgrade_profiles(self, request: DowngradeProfilesRequest) -> DowngradeProfilesResponse:
        """Restore archived profiles, and make current ones pending.

        ``success`` is False when no profile is archived.
        """
        if request.user_id is not None or request.profile_ids is not None:
            self._server.warn_once(
                "downgrade_profiles: servers up to 0.2.32 ignore user_id and profile_ids: every archived "
                "profile of the whole organisation is restored"
            )
        return await self._send(DOWNGRADE_PROFILES, _only_affected_users(request))


def _only_affected_users(request: P) -> P:
    """``request`` with the official client's default.

    With the server's own default, users without pending or archived profiles would lose current ones.
    """
    if "only_affected_users" in request.model_fields_set:
        return request
    return request.model_copy(update={"only_affected_users": True})


def _complete(profile: UserProfile | Mapping[str, Any]) -> UserProfile:
    """``profile`` with an id, a time and an origin, made as the official client makes them."""
    profile = UserProfile.model_validate(profile)
    made = {
        "profile_id": str(uuid4()),
        "last_modified_timestamp": epoch_now(),
        "generated_from_request_id": "cli-manual",
    }
    absent = {name: value for name, value in made.items() if getattr(profile, name) is None}
    if "source" not in profile.model_fields_set:
        absent["source"] = "cli-manual"
    return profile.model_copy(update=absent)
