"""Feedback: what playbooks were called in January 2026. Today's servers do not have these calls."""

from typing import Literal, overload

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.tasks import BackgroundCall
from reflexio_async._engine.wire import Endpoint
from reflexio_async.legacy.feedback_models import (
    AddFeedbackRequest,
    AddFeedbackResponse,
    AddRawFeedbackRequest,
    AddRawFeedbackResponse,
    DeleteFeedbackRequest,
    DeleteFeedbackResponse,
    DeleteRawFeedbackRequest,
    DeleteRawFeedbackResponse,
    DowngradeRawFeedbacksRequest,
    DowngradeRawFeedbacksResponse,
    GetFeedbacksRequest,
    GetFeedbacksResponse,
    GetRawFeedbacksRequest,
    GetRawFeedbacksResponse,
    ManualFeedbackGenerationRequest,
    ManualFeedbackGenerationResponse,
    ManualFeedbackGenerationStart,
    ManualFeedbackGenerationWait,
    RerunFeedbackGenerationRequest,
    RerunFeedbackGenerationResponse,
    RerunFeedbackGenerationStart,
    RerunFeedbackGenerationWait,
    RunFeedbackAggregationRequest,
    RunFeedbackAggregationResponse,
    RunFeedbackAggregationStart,
    RunFeedbackAggregationWait,
    SearchFeedbackRequest,
    SearchFeedbackResponse,
    SearchRawFeedbackRequest,
    SearchRawFeedbackResponse,
    UpdateFeedbackStatusRequest,
    UpdateFeedbackStatusResponse,
    UpgradeRawFeedbacksRequest,
    UpgradeRawFeedbacksResponse,
)
from reflexio_async.legacy.jobs import FEEDBACK_RERUN

RERUN_FEEDBACK_GENERATION = Endpoint(
    "POST",
    "/api/rerun_feedback_generation",
    RerunFeedbackGenerationResponse,
    per_minute=5,
    successor="rerun_playbook_generation",
)
MANUAL_FEEDBACK_GENERATION = Endpoint(
    "POST",
    "/api/manual_feedback_generation",
    ManualFeedbackGenerationResponse,
    per_minute=5,
    deadline=630,
    successor="manual_playbook_generation",
)
RUN_FEEDBACK_AGGREGATION = Endpoint(
    "POST",
    "/api/run_feedback_aggregation",
    RunFeedbackAggregationResponse,
    per_minute=10,
    deadline=630,
    successor="run_playbook_aggregation",
)
GET_FEEDBACKS = Endpoint(
    "POST",
    "/api/get_feedbacks",
    GetFeedbacksResponse,
    repeatable=True,
    successor="get_agent_playbooks",
    memory="search_memory",
)
GET_RAW_FEEDBACKS = Endpoint(
    "POST",
    "/api/get_raw_feedbacks",
    GetRawFeedbacksResponse,
    repeatable=True,
    successor="get_user_playbooks",
    memory="search_memory",
)
SEARCH_FEEDBACKS = Endpoint(
    "POST",
    "/api/search_feedbacks",
    SearchFeedbackResponse,
    repeatable=True,
    per_minute=120,
    successor="search_agent_playbooks",
    memory="search_memory",
)
SEARCH_RAW_FEEDBACKS = Endpoint(
    "POST",
    "/api/search_raw_feedbacks",
    SearchRawFeedbackResponse,
    repeatable=True,
    per_minute=120,
    successor="search_user_playbooks",
    memory="search_memory",
)
ADD_FEEDBACKS = Endpoint(
    "POST",
    "/api/add_feedbacks",
    AddFeedbackResponse,
    per_minute=60,
    successor="add_agent_playbooks",
    memory="create_memory",
)
ADD_RAW_FEEDBACK = Endpoint(
    "POST",
    "/api/add_raw_feedback",
    AddRawFeedbackResponse,
    per_minute=60,
    successor="add_user_playbook",
    memory="create_memory",
)
UPDATE_FEEDBACK_STATUS = Endpoint(
    "PUT",
    "/api/update_feedback_status",
    UpdateFeedbackStatusResponse,
    successor="update_agent_playbook_status",
    memory="update_memory",
)
UPGRADE_RAW_FEEDBACKS = Endpoint(
    "POST",
    "/api/upgrade_all_raw_feedbacks",
    UpgradeRawFeedbacksResponse,
    refusal="return",
    successor="upgrade_user_playbooks",
)
DOWNGRADE_RAW_FEEDBACKS = Endpoint(
    "POST",
    "/api/downgrade_all_raw_feedbacks",
    DowngradeRawFeedbacksResponse,
    refusal="return",
    successor="downgrade_user_playbooks",
)
DELETE_FEEDBACK = Endpoint(
    "DELETE",
    "/api/delete_feedback",
    DeleteFeedbackResponse,
    successor="delete_agent_playbook",
    memory="delete_memory",
)
DELETE_RAW_FEEDBACK = Endpoint(
    "DELETE",
    "/api/delete_raw_feedback",
    DeleteRawFeedbackResponse,
    successor="delete_user_playbook",
    memory="delete_memory",
)


class FeedbackAPI(API):
    """Calls about feedbacks (lessons for the agent) and raw feedbacks (lessons of users).

    Each docstring ends with the name of today's call.
    """

    @takes(RerunFeedbackGenerationStart, waiting=RerunFeedbackGenerationWait)
    async def rerun_feedback_generation(
        self, request: RerunFeedbackGenerationRequest
    ) -> Job[RerunFeedbackGenerationResponse]:
        """Learn the raw feedbacks of one agent version again, as a Job. Today: rerun_playbook_generation."""
        return await self._start(RERUN_FEEDBACK_GENERATION, request, FEEDBACK_RERUN)

    @takes(ManualFeedbackGenerationStart, waiting=ManualFeedbackGenerationWait)
    async def manual_feedback_generation(
        self, request: ManualFeedbackGenerationRequest
    ) -> BackgroundCall[ManualFeedbackGenerationResponse]:
        """Learn current raw feedbacks now. Today: manual_playbook_generation."""
        return self._send_in_background(MANUAL_FEEDBACK_GENERATION, request)

    @takes(RunFeedbackAggregationStart, waiting=RunFeedbackAggregationWait)
    async def run_feedback_aggregation(
        self, request: RunFeedbackAggregationRequest
    ) -> BackgroundCall[RunFeedbackAggregationResponse]:
        """Aggregate raw feedbacks to feedbacks. Today: run_playbook_aggregation."""
        return self._send_in_background(RUN_FEEDBACK_AGGREGATION, request)

    @takes(GetFeedbacksRequest)
    async def get_feedbacks(self, request: GetFeedbacksRequest) -> GetFeedbacksResponse:
        """Lessons for the agent. Today: get_agent_playbooks."""
        return await self._send(GET_FEEDBACKS, request)

    @takes(GetRawFeedbacksRequest)
    async def get_raw_feedbacks(self, request: GetRawFeedbacksRequest) -> GetRawFeedbacksResponse:
        """Lessons of users. Today: get_user_playbooks."""
        return await self._send(GET_RAW_FEEDBACKS, request)

    @takes(SearchFeedbackRequest)
    async def search_feedbacks(self, request: SearchFeedbackRequest) -> SearchFeedbackResponse:
        """Lessons for the agent, nearest in meaning to ``query``. Today: search_agent_playbooks."""
        return await self._send(SEARCH_FEEDBACKS, request)

    @takes(SearchRawFeedbackRequest)
    async def search_raw_feedbacks(self, request: SearchRawFeedbackRequest) -> SearchRawFeedbackResponse:
        """Lessons of users, nearest in meaning to ``query``. Today: search_user_playbooks."""
        return await self._send(SEARCH_RAW_FEEDBACKS, request)

    @takes(AddFeedbackRequest)
    async def add_feedbacks(self, request: AddFeedbackRequest) -> AddFeedbackResponse:
        """Store lessons for the agent as they are. Today: add_agent_playbooks."""
        return await self._send(ADD_FEEDBACKS, request)

    @takes(AddRawFeedbackRequest)
    async def add_raw_feedback(self, request: AddRawFeedbackRequest) -> AddRawFeedbackResponse:
        """Store lessons of users as they are. Today: add_user_playbook."""
        return await self._send(ADD_RAW_FEEDBACK, request)

    @takes(UpdateFeedbackStatusRequest)
    async def update_feedback_status(
        self, request: UpdateFeedbackStatusRequest
    ) -> UpdateFeedbackStatusResponse:
        """Approve or reject one lesson. Today: update_agent_playbook_status."""
        return await self._send(UPDATE_FEEDBACK_STATUS, request)

    @takes(UpgradeRawFeedbacksRequest)
    async def upgrade_raw_feedbacks(self, request: UpgradeRawFeedbacksRequest) -> UpgradeRawFeedbacksResponse:
        """Promote pending raw feedbacks to current. ``success`` is False when there are none.

        Today: upgrade_user_playbooks.
        """
        return await self._send(UPGRADE_RAW_FEEDBACKS, request)

    @takes(DowngradeRawFeedbacksRequest)
    async def downgrade_raw_feedbacks(
        self, request: DowngradeRawFeedbacksRequest
    ) -> DowngradeRawFeedbacksResponse:
        """Restore archived raw feedbacks. ``success`` is False when there are none.

        Today: downgrade_user_playbooks.
        """
        return await self._send(DOWNGRADE_RAW_FEEDBACKS, request)

    @overload
    async def delete_feedback(
        self, feedback_id: int, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[DeleteFeedbackResponse]: ...
    @overload
    async def delete_feedback(
        self, feedback_id: int, wait_for_response: Literal[True]
    ) -> DeleteFeedbackResponse: ...
    async def delete_feedback(
        self, feedback_id: int, wait_for_response: bool = False
    ) -> DeleteFeedbackResponse | BackgroundCall[DeleteFeedbackResponse]:
        """Delete one lesson for the agent.

        Returns a BackgroundCall, or with ``wait_for_response`` the response. Today: delete_agent_playbook.
        """
        request = DeleteFeedbackRequest(feedback_id=feedback_id)
        return await self._in_background(DELETE_FEEDBACK, request, wait_for_response)

    @overload
    async def delete_raw_feedback(
        self, raw_feedback_id: int, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[DeleteRawFeedbackResponse]: ...
    @overload
    async def delete_raw_feedback(
        self, raw_feedback_id: int, wait_for_response: Literal[True]
    ) -> DeleteRawFeedbackResponse: ...
    async def delete_raw_feedback(
        self, raw_feedback_id: int, wait_for_response: bool = False
    ) -> DeleteRawFeedbackResponse | BackgroundCall[DeleteRawFeedbackResponse]:
        """Delete one lesson of a user.

        Returns a BackgroundCall, or with ``wait_for_response`` the response. Today: delete_user_playbook.
        """
        request = DeleteRawFeedbackRequest(raw_feedback_id=raw_feedback_id)
        return await self._in_background(DELETE_RAW_FEEDBACK, request, wait_for_response)
