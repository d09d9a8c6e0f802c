"""User playbooks: lessons for the agent, each learned from one user."""

from typing import Literal, overload

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.models import Empty, ListOf, OrMapping, drop_none
from reflexio_async._engine.tasks import BackgroundCall
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.cached_paths import EVERYTHING
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
    UserPlaybook,
)
from reflexio_async.reflexio.service import SLOW_CALL_DEADLINE

RERUN_PLAYBOOK_GENERATION = Endpoint(
    "POST", "/api/rerun_playbook_generation", RerunPlaybookGenerationResponse, per_minute=5
)
MANUAL_PLAYBOOK_GENERATION = Endpoint(
    "POST",
    "/api/manual_playbook_generation",
    ManualPlaybookGenerationResponse,
    per_minute=5,
    deadline=SLOW_CALL_DEADLINE,
    query=(("wait_for_response", "true"),),
)
GET_USER_PLAYBOOKS = Endpoint(
    "POST", "/api/get_user_playbooks", GetUserPlaybooksViewResponse, repeatable=True, memory="search_memory"
)
UPGRADE_USER_PLAYBOOKS = Endpoint(
    "POST", "/api/upgrade_all_user_playbooks", UpgradeUserPlaybooksResponse, refusal="return"
)
DOWNGRADE_USER_PLAYBOOKS = Endpoint(
    "POST", "/api/downgrade_all_user_playbooks", DowngradeUserPlaybooksResponse, refusal="return"
)
SEARCH_USER_PLAYBOOKS = Endpoint(
    "POST",
    "/api/search_user_playbooks",
    SearchUserPlaybooksViewResponse,
    repeatable=True,
    per_minute=120,
    memory="search_memory",
)
ADD_USER_PLAYBOOK = Endpoint(
    "POST", "/api/add_user_playbook", AddUserPlaybookResponse, per_minute=60, memory="create_memory"
)
UPDATE_USER_PLAYBOOK = Endpoint(
    "PUT", "/api/update_user_playbook", UpdateUserPlaybookResponse, memory="update_memory"
)
REVIEW_USER_PLAYBOOKS = Endpoint(
    "POST",
    "/api/review_user_playbooks",
    ReviewUserPlaybooksResponse,
    per_minute=5,
    deadline=SLOW_CALL_DEADLINE,
)
DELETE_USER_PLAYBOOK = Endpoint(
    "DELETE", "/api/delete_user_playbook", DeleteUserPlaybookResponse, memory="delete_memory"
)
DELETE_USER_PLAYBOOKS_BY_IDS = Endpoint(
    "DELETE", "/api/delete_user_playbooks_by_ids", BulkDeleteResponse, memory="delete_memory"
)
DELETE_ALL_USER_PLAYBOOKS = Endpoint(
    "DELETE", "/api/delete_all_user_playbooks", BulkDeleteResponse, per_minute=10, memory="delete_memory"
)
DELETE_ALL_PLAYBOOKS = Endpoint(
    "DELETE",
    "/api/delete_all_playbooks",
    BulkDeleteResponse,
    per_minute=10,
    invalidates=EVERYTHING,
    memory="delete_memory",
)


class PlaybooksAPI(API):
    """Calls about user playbooks."""

    @takes(RerunPlaybookGenerationStart, waiting=RerunPlaybookGenerationWait)
    async def rerun_playbook_generation(
        self, request: RerunPlaybookGenerationRequest
    ) -> Job[RerunPlaybookGenerationResponse]:
        """Learn the user playbooks of one agent version again, from all its users, as a Job.

        The results are pending until ``upgrade_user_playbooks`` promotes them.
        """
        return await self._start(RERUN_PLAYBOOK_GENERATION, request, PLAYBOOK_RERUN)

    @takes(ManualPlaybookGenerationStart, waiting=ManualPlaybookGenerationWait)
    async def manual_playbook_generation(
        self, request: ManualPlaybookGenerationRequest
    ) -> BackgroundCall[ManualPlaybookGenerationResponse]:
        """Learn current user playbooks now.

        Servers learn from every user, no matter which ``agent_version`` is given.
        """
        return self._run_in_lane(MANUAL_PLAYBOOK_GENERATION, request, MANUAL_PLAYBOOKS)

    @takes(GetUserPlaybooksRequest)
    async def get_user_playbooks(self, request: GetUserPlaybooksRequest) -> GetUserPlaybooksViewResponse:
        """Lessons that were learned from single users. Without ``status_filter`` those of every status."""
        return await self._send(GET_USER_PLAYBOOKS, request)

    @takes(UpgradeUserPlaybooksRequest)
    async def upgrade_user_playbooks(
        self, request: UpgradeUserPlaybooksRequest
    ) -> UpgradeUserPlaybooksResponse:
        """Promote pending user playbooks to current. ``success`` is False when there are none."""
        return await self._send(UPGRADE_USER_PLAYBOOKS, request)

    @takes(DowngradeUserPlaybooksRequest)
    async def downgrade_user_playbooks(
        self, request: DowngradeUserPlaybooksRequest
    ) -> DowngradeUserPlaybooksResponse:
        """Restore archived user playbooks, and make current ones pending.

        ``success`` is False when no user playbook is archived.
        """
        return await self._send(DOWNGRADE_USER_PLAYBOOKS, request)

    @takes(SearchUserPlaybookRequest)
    async def search_user_playbooks(
        self, request: SearchUserPlaybookRequest
    ) -> SearchUserPlaybooksViewResponse:
        """Lessons that were learned from single users, nearest in meaning to ``query``.

        With a ``session_id`` the server leaves out what this session was given before, and a failed search is
        not sent again: a second try would skip results.
        """
        return await self._send(SEARCH_USER_PLAYBOOKS, request, repeatable=request.session_id is None)

    async def add_user_playbook(
        self, user_playbooks: ListOf[OrMapping[UserPlaybook]]
    ) -> AddUserPlaybookResponse:
        """Store lessons of users as they are, without learning.

        Args:
            user_playbooks: ``UserPlaybook`` models, or mappings with ``agent_version``, ``request_id`` and
                ``content`` or ``trigger``.
        """
        request = AddUserPlaybookRequest(user_playbooks=user_playbooks)
        return await self._send(ADD_USER_PLAYBOOK, request)

    async def update_user_playbook(
        self,
        user_playbook_id: int,
        *,
        playbook_name: str | None = None,
        content: str | None = None,
        trigger: str | None = None,
        rationale: str | None = None,
    ) -> UpdateUserPlaybookResponse:
        """Change one lesson of a user. What is None stays as it is.

        The response is a success, too, when the lesson does not exist.

        Args:
            user_playbook_id: The lesson.
            playbook_name: Its new name.
            content: Its new text.
            trigger: When the agent shall follow it.
            rationale: Why the agent shall follow it.
        """
        changes = {
            "playbook_name": playbook_name,
            "content": content,
            "trigger": trigger,
            "rationale": rationale,
        }
        request = UpdateUserPlaybookRequest(user_playbook_id=user_playbook_id, **drop_none(changes))
        return await self._send(UPDATE_USER_PLAYBOOK, request)

    @takes(ReviewUserPlaybooksRequest)
    async def review_user_playbooks(self, request: ReviewUserPlaybooksRequest) -> ReviewUserPlaybooksResponse:
        """Let the server compare lessons with the interactions that they were learned from.

        With ``report_only=False`` the server also changes the lessons, in the background. It has no route for
        the state of that.
        """
        return await self._send(REVIEW_USER_PLAYBOOKS, request)

    @overload
    async def delete_user_playbook(
        self, user_playbook_id: int, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[DeleteUserPlaybookResponse]: ...
    @overload
    async def delete_user_playbook(
        self, user_playbook_id: int, wait_for_response: Literal[True]
    ) -> DeleteUserPlaybookResponse: ...
    async def delete_user_playbook(
        self, user_playbook_id: int, wait_for_response: bool = False
    ) -> DeleteUserPlaybookResponse | BackgroundCall[DeleteUserPlaybookResponse]:
        """Delete one lesson of a user.

        Returns a BackgroundCall, or with ``wait_for_response`` the response.
        """
        request = DeleteUserPlaybookRequest(user_playbook_id=user_playbook_id)
        return await self._in_background(DELETE_USER_PLAYBOOK, request, wait_for_response)

    async def delete_user_playbooks_by_ids(self, user_playbook_ids: ListOf[int]) -> BulkDeleteResponse:
        """Delete lessons of users."""
        request = DeleteUserPlaybooksByIdsRequest(user_playbook_ids=user_playbook_ids)
        return await self._send(DELETE_USER_PLAYBOOKS_BY_IDS, request)

    async def delete_all_user_playbooks(self) -> BulkDeleteResponse:
        """Delete every user playbook of the organisation."""
        return await self._send(DELETE_ALL_USER_PLAYBOOKS, Empty())

    async def delete_all_playbooks(self) -> BulkDeleteResponse:
        """Delete every user playbook and every agent playbook of the organisation."""
        return await self._send(DELETE_ALL_PLAYBOOKS, Empty())
