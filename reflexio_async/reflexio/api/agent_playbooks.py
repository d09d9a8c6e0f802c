"""Agent playbooks: lessons for the agent, aggregated from the lessons of many users."""

from typing import Literal, overload

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.models import Empty, ListOf, OrMapping, drop_none
from reflexio_async._engine.tasks import BackgroundCall
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.cached_paths import AGENT_PLAYBOOKS_PATH
from reflexio_async.reflexio.models.agent_playbooks import (
    AddAgentPlaybookRequest,
    AddAgentPlaybookResponse,
    AgentPlaybook,
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
)
from reflexio_async.reflexio.models.literals import AnyPlaybookStatus
from reflexio_async.reflexio.models.operations import BulkDeleteResponse

SEARCH_AGENT_PLAYBOOKS = Endpoint(
    "POST",
    "/api/search_agent_playbooks",
    SearchAgentPlaybooksViewResponse,
    repeatable=True,
    per_minute=120,
    memory="search_memory",
)
GET_AGENT_PLAYBOOKS = Endpoint(
    "POST",
    AGENT_PLAYBOOKS_PATH,
    GetAgentPlaybooksViewResponse,
    repeatable=True,
    per_minute=120,
    memory="search_memory",
)
ADD_AGENT_PLAYBOOKS = Endpoint(
    "POST",
    "/api/add_agent_playbook",
    AddAgentPlaybookResponse,
    per_minute=60,
    invalidates=(AGENT_PLAYBOOKS_PATH,),
    memory="create_memory",
)
UPDATE_AGENT_PLAYBOOK = Endpoint(
    "PUT",
    "/api/update_agent_playbook",
    UpdateAgentPlaybookResponse,
    invalidates=(AGENT_PLAYBOOKS_PATH,),
    memory="update_memory",
)
UPDATE_AGENT_PLAYBOOK_STATUS = Endpoint(
    "PUT",
    "/api/update_agent_playbook_status",
    UpdatePlaybookStatusResponse,
    invalidates=(AGENT_PLAYBOOKS_PATH,),
    memory="update_memory",
)
DELETE_AGENT_PLAYBOOK = Endpoint(
    "DELETE",
    "/api/delete_agent_playbook",
    DeleteAgentPlaybookResponse,
    invalidates=(AGENT_PLAYBOOKS_PATH,),
    memory="delete_memory",
)
DELETE_AGENT_PLAYBOOKS_BY_IDS = Endpoint(
    "DELETE",
    "/api/delete_agent_playbooks_by_ids",
    BulkDeleteResponse,
    invalidates=(AGENT_PLAYBOOKS_PATH,),
    memory="delete_memory",
)
DELETE_ALL_AGENT_PLAYBOOKS = Endpoint(
    "DELETE",
    "/api/delete_all_agent_playbooks",
    BulkDeleteResponse,
    per_minute=10,
    invalidates=(AGENT_PLAYBOOKS_PATH,),
    memory="delete_memory",
)
GET_PLAYBOOK_APPLICATION_STATS = Endpoint(
    "POST", "/api/get_playbook_application_stats", GetPlaybookApplicationStatsResponse, repeatable=True
)


class AgentPlaybooksAPI(API):
    """Calls about agent playbooks."""

    @takes(SearchAgentPlaybookRequest)
    async def search_agent_playbooks(
        self, request: SearchAgentPlaybookRequest
    ) -> SearchAgentPlaybooksViewResponse:
        """Lessons for the agent, nearest in meaning to ``query``.

        With a ``session_id`` the server leaves out what this session was given before, and a failed search is
        not sent again: a second try would skip results.
        """
        return await self._send(SEARCH_AGENT_PLAYBOOKS, request, repeatable=request.session_id is None)

    @takes(GetAgentPlaybooksRequest, option="force_refresh")
    async def get_agent_playbooks(self, request: GetAgentPlaybooksRequest) -> GetAgentPlaybooksViewResponse:
        """Lessons for the agent. The response is cached for ``cache_ttl`` seconds.

        The writes of this client drop the cached response. Changes by others and by aggregation, which runs
        at the server, are seen after that time, or with ``force_refresh=True``.
        """
        return await self._cached(GET_AGENT_PLAYBOOKS, request, refresh=request.force_refresh)

    async def add_agent_playbooks(
        self, agent_playbooks: ListOf[OrMapping[AgentPlaybook]]
    ) -> AddAgentPlaybookResponse:
        """Store lessons for the agent as they are, without aggregation.

        Args:
            agent_playbooks: ``AgentPlaybook`` models, or mappings with ``agent_version`` and ``content``.
        """
        request = AddAgentPlaybookRequest(agent_playbooks=agent_playbooks)
        return await self._send(ADD_AGENT_PLAYBOOKS, request)

    async def update_agent_playbook(
        self,
        agent_playbook_id: int,
        *,
        playbook_name: str | None = None,
        content: str | None = None,
        trigger: str | None = None,
        rationale: str | None = None,
        playbook_status: AnyPlaybookStatus | None = None,
    ) -> UpdateAgentPlaybookResponse:
        """Change one lesson for the agent. What is None stays as it is.

        Args:
            agent_playbook_id: The lesson.
            playbook_name: Its new name.
            content: Its new text.
            trigger: When the agent shall follow it.
            rationale: Why the agent shall follow it.
            playbook_status: The verdict on it: pending, approved or rejected.
        """
        changes = {
            "playbook_name": playbook_name,
            "content": content,
            "trigger": trigger,
            "rationale": rationale,
            "playbook_status": playbook_status,
        }
        request = UpdateAgentPlaybookRequest(agent_playbook_id=agent_playbook_id, **drop_none(changes))
        return await self._send(UPDATE_AGENT_PLAYBOOK, request)

    async def update_agent_playbook_status(
        self, agent_playbook_id: int, *, playbook_status: AnyPlaybookStatus
    ) -> UpdatePlaybookStatusResponse:
        """Approve or reject one lesson for the agent."""
        request = UpdatePlaybookStatusRequest(
            agent_playbook_id=agent_playbook_id, playbook_status=playbook_status
        )
        return await self._send(UPDATE_AGENT_PLAYBOOK_STATUS, request)

    @overload
    async def delete_agent_playbook(
        self, agent_playbook_id: int, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[DeleteAgentPlaybookResponse]: ...
    @overload
    async def delete_agent_playbook(
        self, agent_playbook_id: int, wait_for_response: Literal[True]
    ) -> DeleteAgentPlaybookResponse: ...
    async def delete_agent_playbook(
        self, agent_playbook_id: int, wait_for_response: bool = False
    ) -> DeleteAgentPlaybookResponse | BackgroundCall[DeleteAgentPlaybookResponse]:
        """Delete one lesson for the agent.

        Returns a BackgroundCall, or with ``wait_for_response`` the response.
        """
        request = DeleteAgentPlaybookRequest(agent_playbook_id=agent_playbook_id)
        return await self._in_background(DELETE_AGENT_PLAYBOOK, request, wait_for_response)

    async def delete_agent_playbooks_by_ids(self, agent_playbook_ids: ListOf[int]) -> BulkDeleteResponse:
        """Delete lessons for the agent.

        ``deleted_count`` counts the ids that were given, whether or not they existed.
        """
        request = DeleteAgentPlaybooksByIdsRequest(agent_playbook_ids=agent_playbook_ids)
        return await self._send(DELETE_AGENT_PLAYBOOKS_BY_IDS, request)

    async def delete_all_agent_playbooks(self) -> BulkDeleteResponse:
        """Delete every agent playbook of the organisation."""
        return await self._send(DELETE_ALL_AGENT_PLAYBOOKS, Empty())

    @takes(GetPlaybookApplicationStatsRequest)
    async def get_playbook_application_stats(
        self, request: GetPlaybookApplicationStatsRequest
    ) -> GetPlaybookApplicationStatsResponse:
        """How often the agent applied each learning."""
        return await self._send(GET_PLAYBOOK_APPLICATION_STATS, request)
