"""Playbooks: lessons for the agent."""

from __future__ import annotations

from reflexio_async.jobs.kinds import MANUAL_PLAYBOOKS, PLAYBOOK_RERUN
from reflexio_async.models.operations import (
    ManualPlaybookGenerationRequest,
    ManualPlaybookGenerationResponse,
    ManualPlaybookGenerationStart,
    ManualPlaybookGenerationWait,
    RerunPlaybookGenerationRequest,
    RerunPlaybookGenerationResponse,
    RerunPlaybookGenerationStart,
    RerunPlaybookGenerationWait,
)
from reflexio_async.models.playbooks import (
    GetUserPlaybooksRequest,
    GetUserPlaybooksViewResponse,
    UpgradeUserPlaybooksRequest,
    UpgradeUserPlaybooksResponse,
)
from reflexio_async.routing.job_route import JobRoute, SlowRoute
from reflexio_async.routing.route import Route


class PlaybooksAPI:
    """Playbooks of users and of the agent."""

    rerun_playbook_generation = JobRoute(
        "/api/rerun_playbook_generation",
        RerunPlaybookGenerationRequest,
        RerunPlaybookGenerationResponse,
        start=RerunPlaybookGenerationStart,
        wait=RerunPlaybookGenerationWait,
        kind=PLAYBOOK_RERUN,
        per_minute=5,
    )
    """Regenerate the playbooks of one agent version from all its users as pending rows, as a Job."""

    manual_playbook_generation = SlowRoute(
        "/api/manual_playbook_generation",
        ManualPlaybookGenerationRequest,
        ManualPlaybookGenerationResponse,
        start=ManualPlaybookGenerationStart,
        wait=ManualPlaybookGenerationWait,
        kind=MANUAL_PLAYBOOKS,
        per_minute=5,
        deadline=630,
        query=(("wait_for_response", "true"),),
    )
    """Extract playbooks directly into the current ones, from every user whatever the agent version."""

    get_user_playbooks = Route(
        "POST",
        "/api/get_user_playbooks",
        GetUserPlaybooksRequest,
        GetUserPlaybooksViewResponse,
        repeatable=True,
    )
    """Lessons drawn from single users' interactions; every status unless ``status_filter`` says otherwise."""

    upgrade_user_playbooks = Route(
        "POST",
        "/api/upgrade_all_user_playbooks",
        UpgradeUserPlaybooksRequest,
        UpgradeUserPlaybooksResponse,
        refusal="return",
    )
    """Promote pending user playbooks to current; ``success`` is False when there are none."""
