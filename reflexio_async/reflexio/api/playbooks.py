"""Playbooks: lessons for the agent."""

from __future__ import annotations

from reflexio_async._engine.cache import EVERYTHING
from reflexio_async._engine.models import Empty
from reflexio_async._engine.routing.background_route import BackgroundRoute
from reflexio_async._engine.routing.job_route import JobRoute, SlowRoute
from reflexio_async._engine.routing.route import Route
from reflexio_async._engine.routing.vias import once_in_a_session
from reflexio_async.reflexio.jobs import MANUAL_PLAYBOOKS, PLAYBOOK_RERUN
from reflexio_async.reflexio.models.operations import (
    BulkDeleteResponse,
    ManualPlaybookGenerationRequest,
    ManualPlaybookGenerationResponse,
    ManualPlaybookGenerationStart,
    ManualPlaybookGenerationWait,
    RerunPlaybookGenerationRequest,
    RerunPlaybookGenerationResponse,
    RerunPlaybookGenerationStart,
    RerunPlaybookGenerationWait,
)
from reflexio_async.reflexio.models.playbooks import (
    AddUserPlaybookRequest,
    AddUserPlaybookResponse,
    DeleteUserPlaybookRequest,
    DeleteUserPlaybookResponse,
    DeleteUserPlaybooksByIdsRequest,
    DowngradeUserPlaybooksRequest,
    DowngradeUserPlaybooksResponse,
    GetUserPlaybooksRequest,
    GetUserPlaybooksViewResponse,
    ReviewUserPlaybooksRequest,
    ReviewUserPlaybooksResponse,
    SearchUserPlaybookRequest,
    SearchUserPlaybooksViewResponse,
    UpdateUserPlaybookRequest,
    UpdateUserPlaybookResponse,
    UpgradeUserPlaybooksRequest,
    UpgradeUserPlaybooksResponse,
    add_user_playbook,
    delete_user_playbook,
    delete_user_playbook_waiting,
    delete_user_playbooks_by_ids,
    update_user_playbook,
)


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

    downgrade_user_playbooks = Route(
        "POST",
        "/api/downgrade_all_user_playbooks",
        DowngradeUserPlaybooksRequest,
        DowngradeUserPlaybooksResponse,
        refusal="return",
    )
    """Restore archived user playbooks, current ones become pending; ``success`` is False without any."""

    search_user_playbooks = Route(
        "POST",
        "/api/search_user_playbooks",
        SearchUserPlaybookRequest,
        SearchUserPlaybooksViewResponse,
        repeatable=True,
        per_minute=120,
        via=once_in_a_session,
        resolves=True,
    )
    """Lessons from users' interactions, nearest in meaning to ``query``.

    With a ``session_id`` servers leave out what they gave this session before, so it is not sent again then.
    """

    add_user_playbook = Route(
        "POST",
        "/api/add_user_playbook",
        add_user_playbook,
        AddUserPlaybookResponse,
        model=AddUserPlaybookRequest,
        per_minute=60,
    )
    """Store lessons as they are, past extraction."""

    update_user_playbook = Route(
        "PUT",
        "/api/update_user_playbook",
        update_user_playbook,
        UpdateUserPlaybookResponse,
        model=UpdateUserPlaybookRequest,
        repeatable=True,
    )
    """Change one lesson; what is absent stays. A lesson that does not exist is a success, too."""

    review_user_playbooks = Route(
        "POST",
        "/api/review_user_playbooks",
        ReviewUserPlaybooksRequest,
        ReviewUserPlaybooksResponse,
        per_minute=5,
        deadline=630,
    )
    """Have lessons judged against what was said: now, or in the background with ``report_only=False``.

    The server has no route that tells how a review in the background is going.
    """

    delete_user_playbook = BackgroundRoute(
        "DELETE",
        "/api/delete_user_playbook",
        DeleteUserPlaybookRequest,
        DeleteUserPlaybookResponse,
        start=delete_user_playbook,
        wait=delete_user_playbook_waiting,
        repeatable=True,
    )
    """Delete one lesson of a user."""

    delete_user_playbooks_by_ids = Route(
        "DELETE",
        "/api/delete_user_playbooks_by_ids",
        delete_user_playbooks_by_ids,
        BulkDeleteResponse,
        model=DeleteUserPlaybooksByIdsRequest,
        repeatable=True,
    )
    """Delete lessons of users by their ids."""

    delete_all_user_playbooks = Route(
        "DELETE",
        "/api/delete_all_user_playbooks",
        Empty,
        BulkDeleteResponse,
        repeatable=True,
        per_minute=10,
    )
    """Delete every user playbook of the organisation."""

    delete_all_playbooks = Route(
        "DELETE",
        "/api/delete_all_playbooks",
        Empty,
        BulkDeleteResponse,
        repeatable=True,
        per_minute=10,
        forgets=EVERYTHING,
    )
    """Delete every playbook of the organisation, users' and agent's."""
