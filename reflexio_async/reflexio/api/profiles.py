"""Profiles: facts about users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from reflexio_async._engine.cache import PROFILES
from reflexio_async._engine.models import Empty, epoch_now
from reflexio_async._engine.routing.background_route import BackgroundRoute
from reflexio_async._engine.routing.cached_route import CachedRoute
from reflexio_async._engine.routing.job_route import JobRoute, SlowRoute
from reflexio_async._engine.routing.route import Route
from reflexio_async._engine.routing.vias import once_in_a_session
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
    add_user_profile,
    by_user,
    delete_profile,
    delete_profile_waiting,
    delete_profiles_by_ids,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.engine import Engine
    from reflexio_async._engine.wire import Answer, Endpoint


async def _upgrade(
    engine: Engine,
    endpoint: Endpoint,
    request: UpgradeProfilesRequest,
    answer: Answer[UpgradeProfilesResponse],
) -> UpgradeProfilesResponse:
    if request.user_id is not None or request.profile_ids is not None:
        engine.knowledge.warn_once(
            "upgrade_profiles",
            "upgrade_profiles: servers up to 0.2.32 ignore user_id and profile_ids: every pending profile of "
            "the whole organisation is promoted, and every archived one deleted",
        )
    if "only_affected_users" not in request.model_fields_set:
        # As the official client: users without pending profiles would lose their current ones.
        request = request.model_copy(update={"only_affected_users": True})
    return await engine.caller.call(endpoint, request, answer, engine.settings)


async def _downgrade(
    engine: Engine,
    endpoint: Endpoint,
    request: DowngradeProfilesRequest,
    answer: Answer[DowngradeProfilesResponse],
) -> DowngradeProfilesResponse:
    if request.user_id is not None or request.profile_ids is not None:
        engine.knowledge.warn_once(
            "downgrade_profiles",
            "downgrade_profiles: servers up to 0.2.32 ignore user_id and profile_ids: every archived profile "
            "of the whole organisation is restored",
        )
    if "only_affected_users" not in request.model_fields_set:
        request = request.model_copy(update={"only_affected_users": True})
    return await engine.caller.call(endpoint, request, answer, engine.settings)


async def _add(
    engine: Engine,
    endpoint: Endpoint,
    request: AddUserProfileRequest,
    answer: Answer[AddUserProfileResponse],
) -> AddUserProfileResponse:
    complete = [_complete(profile) for profile in request.user_profiles]
    request = request.model_copy(update={"user_profiles": complete})
    return await engine.caller.call(endpoint, request, answer, engine.settings)


def _complete(profile: UserProfile | Mapping[str, Any]) -> UserProfile:
    profile = UserProfile.model_validate(profile)
    made = {
        "profile_id": str(uuid4()),
        "last_modified_timestamp": epoch_now(),
        "generated_from_request_id": "cli-manual",
    }
    absent = {name: value for name, value in made.items() if getattr(profile, name) is None}
    return profile.model_copy(update=absent)


class ProfilesAPI:
    """Profiles of users."""

    rerun_profile_generation = JobRoute(
        "/api/rerun_profile_generation",
        RerunProfileGenerationRequest,
        RerunProfileGenerationResponse,
        start=RerunProfileGenerationStart,
        wait=RerunProfileGenerationWait,
        kind=PROFILE_RERUN,
        per_minute=5,
    )
    """Regenerate the profiles of one user (of all users without ``user_id``) as pending rows, as a Job.

    The server runs one at a time; further ones queue in this client's lane.
    """

    manual_profile_generation = SlowRoute(
        "/api/manual_profile_generation",
        ManualProfileGenerationRequest,
        ManualProfileGenerationResponse,
        start=ManualProfileGenerationStart,
        wait=ManualProfileGenerationWait,
        kind=MANUAL_PROFILES,
        per_minute=5,
        # The server answers when it is done; the parameter lifts its deadline from 60 s to 600 s (fact).
        deadline=630,
        query=(("wait_for_response", "true"),),
    )
    """Extract profiles from what has not been learnt from yet, directly into the current ones."""

    search_user_profiles = Route(
        "POST",
        "/api/search_profiles",
        SearchUserProfileRequest,
        SearchProfilesViewResponse,
        repeatable=True,
        per_minute=120,
        via=once_in_a_session,
        resolves=True,
    )
    """Profiles of one user, nearest in meaning to ``query``.

    With a ``session_id`` servers leave out what they gave this session before, so it is not sent again then.
    """

    search_profiles = search_user_profiles.alias()
    """``search_user_profiles``, by its old name."""

    rerank_user_profiles = Route(
        "POST",
        "/api/rerank_user_profiles",
        RerankUserProfilesRequest,
        SearchProfilesViewResponse,
        repeatable=True,
        per_minute=120,
    )
    """Profiles of one user in order of how well they match ``query``; 503 where reranking is off."""

    get_profiles = CachedRoute(
        "POST", "/api/get_profiles", GetUserProfilesRequest, GetProfilesViewResponse, repeatable=True
    )
    """The profiles of one user, kept for ``cache_ttl`` seconds.

    Publishing, finalizing, and deleting through this client drop what is kept; what others write, and
    what generation adds, is seen after that time or with ``force_refresh=True``.
    """

    get_all_profiles = Route(
        "GET", "/api/get_all_profiles", AllProfiles, GetProfilesViewResponse, per_minute=30
    )
    """Profiles of every user."""

    add_user_profile = Route(
        "POST",
        "/api/add_user_profile",
        add_user_profile,
        AddUserProfileResponse,
        model=AddUserProfileRequest,
        repeatable=True,
        per_minute=60,
        via=_add,
    )
    """Store profiles as they are; one whose ``profile_id`` exists is overwritten."""

    update_user_profile = Route(
        "PUT",
        "/api/update_user_profile",
        UpdateUserProfileRequest,
        UpdateUserProfileResponse,
        repeatable=True,
    )
    """Change one profile; what is absent stays."""

    delete_profile = BackgroundRoute(
        "DELETE",
        "/api/delete_profile",
        DeleteUserProfileRequest,
        DeleteUserProfileResponse,
        start=delete_profile,
        wait=delete_profile_waiting,
        repeatable=True,
        forgets=(PROFILES,),
    )
    """Delete one profile of a user, or those that ``search_query`` finds."""

    delete_profiles_by_ids = Route(
        "DELETE",
        "/api/delete_profiles_by_ids",
        delete_profiles_by_ids,
        BulkDeleteResponse,
        model=DeleteProfilesByIdsRequest,
        repeatable=True,
        forgets=(PROFILES,),
    )
    """Delete profiles by their ids; the answer counts them."""

    delete_all_profiles = Route(
        "DELETE",
        "/api/delete_all_profiles",
        Empty,
        BulkDeleteResponse,
        repeatable=True,
        per_minute=10,
        forgets=(PROFILES,),
    )
    """Delete every profile of the organisation."""

    get_profile_change_log = Route("GET", "/api/profile_change_log", Empty, ProfileChangeLogViewResponse)
    """What each request changed in profiles."""

    get_profile_statistics = Route("GET", "/api/get_profile_statistics", Empty, GetProfileStatisticsResponse)
    """How many profiles there are of each status."""

    storage_stats = Route(
        "GET", "/api/storage_stats", by_user, StorageStatsResponse, model=ByUser, per_minute=120
    )
    """How much is stored of one user."""

    upgrade_profiles = Route(
        "POST",
        "/api/upgrade_all_profiles",
        UpgradeProfilesRequest,
        UpgradeProfilesResponse,
        refusal="return",
        via=_upgrade,
    )
    """Promote pending profiles to current; ``success`` is False when there are none."""

    downgrade_profiles = Route(
        "POST",
        "/api/downgrade_all_profiles",
        DowngradeProfilesRequest,
        DowngradeProfilesResponse,
        refusal="return",
        via=_downgrade,
    )
    """Restore archived profiles and put current ones back to pending; ``success`` is False without any."""
