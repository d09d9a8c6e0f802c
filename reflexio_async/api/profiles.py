"""Profiles: facts about users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async.jobs.kinds import MANUAL_PROFILES, PROFILE_RERUN
from reflexio_async.models.operations import (
    ManualProfileGenerationRequest,
    ManualProfileGenerationResponse,
    ManualProfileGenerationStart,
    ManualProfileGenerationWait,
    RerunProfileGenerationRequest,
    RerunProfileGenerationResponse,
    RerunProfileGenerationStart,
    RerunProfileGenerationWait,
)
from reflexio_async.models.profiles import (
    GetProfilesViewResponse,
    GetUserProfilesRequest,
    UpgradeProfilesRequest,
    UpgradeProfilesResponse,
)
from reflexio_async.routing.job_route import JobRoute, SlowRoute
from reflexio_async.routing.route import Route

if TYPE_CHECKING:
    from reflexio_async.core.wire import Answer, Endpoint
    from reflexio_async.routing.runtime import Runtime


async def _upgrade(
    runtime: Runtime,
    endpoint: Endpoint,
    request: UpgradeProfilesRequest,
    answer: Answer[UpgradeProfilesResponse],
) -> UpgradeProfilesResponse:
    if request.user_id is not None or request.profile_ids is not None:
        runtime.knowledge.warn_once(
            "upgrade_profiles",
            "upgrade_profiles: servers up to 0.2.32 ignore user_id and profile_ids: every pending profile of "
            "the whole organisation is promoted, and every archived one deleted",
        )
    return await runtime.pipeline.call(endpoint, request, answer, runtime.settings)


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

    get_profiles = Route(
        "POST", "/api/get_profiles", GetUserProfilesRequest, GetProfilesViewResponse, repeatable=True
    )
    """The profiles of one user."""

    upgrade_profiles = Route(
        "POST",
        "/api/upgrade_all_profiles",
        UpgradeProfilesRequest,
        UpgradeProfilesResponse,
        refusal="return",
        via=_upgrade,
    )
    """Promote pending profiles to current; ``success`` is False when there are none."""
