"""Playbooks of the agent: lessons aggregated from those of many users."""

from __future__ import annotations

from reflexio_async._engine.cache import AGENT_PLAYBOOKS
from reflexio_async._engine.models import Empty
from reflexio_async._engine.routing.background_route import BackgroundRoute
from reflexio_async._engine.routing.cached_route import CachedRoute
from reflexio_async._engine.routing.route import Route
from reflexio_async._engine.routing.vias import once_in_a_session
from reflexio_async.reflexio.models.agent_playbooks import (
    AddAgentPlaybookRequest,
    AddAgentPlaybookResponse,
    DeleteAgentPlaybookRequest,
    DeleteAgentPlaybookResponse,
    DeleteAgentPlaybooksByIdsRequest,
    GetAgentPlaybooksRequest,
    GetAgentPlaybooksViewResponse,
    GetPlaybookApplicationStatsRequest,
    GetPlaybookApplicationStatsResponse,
    SearchAgentPlaybookRequest,
    SearchAgentPlaybooksViewResponse,
    UpdateAgentPlaybookRequest,
    UpdateAgentPlaybookResponse,
    UpdatePlaybookStatusRequest,
    UpdatePlaybookStatusResponse,
    add_agent_playbooks,
    delete_agent_playbook,
    delete_agent_playbook_waiting,
    delete_agent_playbooks_by_ids,
    update_agent_playbook,
    update_agent_playbook_status,
)
from reflexio_async.reflexio.models.operations import BulkDeleteResponse


class AgentPlaybooksAPI:
    """Lessons for the agent."""

    search_agent_playbooks = Route(
        "POST",
        "/api/search_agent_playbooks",
        SearchAgentPlaybookRequest,
        SearchAgentPlaybooksViewResponse,
        repeatable=True,
        per_minute=120,
        via=once_in_a_session,
        resolves=True,
    )
    """Lessons for the agent, nearest in meaning to ``query``.

    With a ``session_id`` servers leave out what they gave this session before, so it is not sent again then.
    """

    get_agent_playbooks = CachedRoute(
        "POST",
        "/api/get_agent_playbooks",
        GetAgentPlaybooksRequest,
        GetAgentPlaybooksViewResponse,
        repeatable=True,
        per_minute=120,
    )
    """Lessons for the agent, kept for ``cache_ttl`` seconds.

    Publishing, finalizing, updating and deleting through this client drop what is kept; what others write,
    and what aggregation adds, is seen after that time or with ``force_refresh=True``.
    """

    add_agent_playbooks = Route(
        "POST",
        "/api/add_agent_playbook",
        add_agent_playbooks,
        AddAgentPlaybookResponse,
        model=AddAgentPlaybookRequest,
        per_minute=60,
    )
    """Store lessons as they are, past aggregation."""

    update_agent_playbook = Route(
        "PUT",
        "/api/update_agent_playbook",
        update_agent_playbook,
        UpdateAgentPlaybookResponse,
        model=UpdateAgentPlaybookRequest,
        repeatable=True,
        forgets=(AGENT_PLAYBOOKS,),
    )
    """Change one lesson; what is absent stays."""

    update_agent_playbook_status = Route(
        "PUT",
        "/api/update_agent_playbook_status",
        update_agent_playbook_status,
        UpdatePlaybookStatusResponse,
        model=UpdatePlaybookStatusRequest,
        repeatable=True,
        forgets=(AGENT_PLAYBOOKS,),
    )
    """Approve or reject one lesson."""

    delete_agent_playbook = BackgroundRoute(
        "DELETE",
        "/api/delete_agent_playbook",
        DeleteAgentPlaybookRequest,
        DeleteAgentPlaybookResponse,
        start=delete_agent_playbook,
        wait=delete_agent_playbook_waiting,
        repeatable=True,
        forgets=(AGENT_PLAYBOOKS,),
    )
    """Delete one lesson for the agent."""

    delete_agent_playbooks_by_ids = Route(
        "DELETE",
        "/api/delete_agent_playbooks_by_ids",
        delete_agent_playbooks_by_ids,
        BulkDeleteResponse,
        model=DeleteAgentPlaybooksByIdsRequest,
        repeatable=True,
        forgets=(AGENT_PLAYBOOKS,),
    )
    """Delete lessons for the agent; the count is that of the ids, whether or not they existed."""

    delete_all_agent_playbooks = Route(
        "DELETE",
        "/api/delete_all_agent_playbooks",
        Empty,
        BulkDeleteResponse,
        repeatable=True,
        per_minute=10,
        forgets=(AGENT_PLAYBOOKS,),
    )
    """Delete every agent playbook of the organisation."""

    get_playbook_application_stats = Route(
        "POST",
        "/api/get_playbook_application_stats",
        GetPlaybookApplicationStatsRequest,
        GetPlaybookApplicationStatsResponse,
        repeatable=True,
    )
    """How often learnings were applied."""
