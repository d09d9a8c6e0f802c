"""Feedback: what playbooks were called in January 2026; today's servers do not have these routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from pydantic import BaseModel

from reflexio_async._engine.routing.background_route import BackgroundRoute
from reflexio_async._engine.routing.job_route import JobRoute
from reflexio_async._engine.routing.route import Route
from reflexio_async.errors import NotFound
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
    delete_feedback,
    delete_feedback_waiting,
    delete_raw_feedback,
    delete_raw_feedback_waiting,
)
from reflexio_async.legacy.jobs import FEEDBACK_RERUN
from reflexio_async.legacy.models import (
    DeleteRequestGroupRequest,
    DeleteRequestGroupResponse,
    delete_request_group,
    delete_request_group_waiting,
)

if TYPE_CHECKING:
    from reflexio_async._engine.engine import Engine
    from reflexio_async._engine.wire import Answer, EncodedRequest, Endpoint

P = ParamSpec("P")
W = ParamSpec("W")
Req = TypeVar("Req", bound=BaseModel)
Res = TypeVar("Res")

_TODAY = {
    "/api/get_feedbacks": "get_agent_playbooks",
    "/api/get_raw_feedbacks": "get_user_playbooks",
    "/api/search_feedbacks": "search_agent_playbooks",
    "/api/search_raw_feedbacks": "search_user_playbooks",
    "/api/add_feedbacks": "add_agent_playbooks",
    "/api/add_raw_feedback": "add_user_playbook",
    "/api/update_feedback_status": "update_agent_playbook_status",
    "/api/delete_feedback": "delete_agent_playbook",
    "/api/delete_raw_feedback": "delete_user_playbook",
    "/api/delete_request_group": "delete_session",
    "/api/upgrade_all_raw_feedbacks": "upgrade_user_playbooks",
    "/api/downgrade_all_raw_feedbacks": "downgrade_user_playbooks",
    "/api/run_feedback_aggregation": "run_playbook_aggregation",
    "/api/rerun_feedback_generation": "rerun_playbook_generation",
    "/api/manual_feedback_generation": "manual_playbook_generation",
}


def _named(error: NotFound, path: str) -> NotFound:
    """``error``, or one that names today's call when the server does not have the route."""
    if error.server_message != "Not Found":
        return error
    message = f"{error.method} {path}: this server does not have it (404); today's call is {_TODAY[path]}"
    return NotFound(
        message,
        status=404,
        method=error.method,
        path=path,
        server_message=error.server_message,
        headers=error.headers,
        attempts=error.attempts,
    )


async def _or_todays(engine: Engine, endpoint: Endpoint, request: BaseModel, answer: Answer[Res]) -> Res:
    try:
        return await engine.caller.call(endpoint, request, answer, engine.settings)
    except NotFound as error:
        raise _named(error, endpoint.path) from None


class _LegacyJobRoute(JobRoute[P, W, Req, Res]):
    """A JobRoute whose 404 names today's call."""

    async def post(self, engine: Engine, encoded: EncodedRequest) -> Res:
        """Send the start, once it is its turn."""
        try:
            return await super().post(engine, encoded)
        except NotFound as error:
            raise _named(error, self.endpoint.path) from None


class FeedbackAPI:
    """Feedbacks (lessons for the agent) and raw feedbacks (lessons of users) of January 2026."""

    rerun_feedback_generation = _LegacyJobRoute(
        "/api/rerun_feedback_generation",
        RerunFeedbackGenerationRequest,
        RerunFeedbackGenerationResponse,
        start=RerunFeedbackGenerationStart,
        wait=RerunFeedbackGenerationWait,
        kind=FEEDBACK_RERUN,
        per_minute=5,
    )
    """Regenerate the raw feedbacks of one agent version as pending rows, as a Job; today: playbooks."""

    manual_feedback_generation = BackgroundRoute(
        "POST",
        "/api/manual_feedback_generation",
        ManualFeedbackGenerationRequest,
        ManualFeedbackGenerationResponse,
        start=ManualFeedbackGenerationStart,
        wait=ManualFeedbackGenerationWait,
        per_minute=5,
        deadline=630,
        via=_or_todays,
    )
    """Extract raw feedbacks directly into the current ones; today: manual_playbook_generation."""

    run_feedback_aggregation = BackgroundRoute(
        "POST",
        "/api/run_feedback_aggregation",
        RunFeedbackAggregationRequest,
        RunFeedbackAggregationResponse,
        start=RunFeedbackAggregationStart,
        wait=RunFeedbackAggregationWait,
        per_minute=10,
        deadline=630,
        via=_or_todays,
    )
    """Aggregate raw feedbacks to feedbacks; today: run_playbook_aggregation."""

    get_feedbacks = Route(
        "POST",
        "/api/get_feedbacks",
        GetFeedbacksRequest,
        GetFeedbacksResponse,
        repeatable=True,
        via=_or_todays,
    )
    """Lessons for the agent; today: get_agent_playbooks."""

    get_raw_feedbacks = Route(
        "POST",
        "/api/get_raw_feedbacks",
        GetRawFeedbacksRequest,
        GetRawFeedbacksResponse,
        repeatable=True,
        via=_or_todays,
    )
    """Lessons of users; today: get_user_playbooks."""

    search_feedbacks = Route(
        "POST",
        "/api/search_feedbacks",
        SearchFeedbackRequest,
        SearchFeedbackResponse,
        repeatable=True,
        per_minute=120,
        via=_or_todays,
    )
    """Lessons for the agent, nearest in meaning to ``query``; today: search_agent_playbooks."""

    search_raw_feedbacks = Route(
        "POST",
        "/api/search_raw_feedbacks",
        SearchRawFeedbackRequest,
        SearchRawFeedbackResponse,
        repeatable=True,
        per_minute=120,
        via=_or_todays,
    )
    """Lessons of users, nearest in meaning to ``query``; today: search_user_playbooks."""

    add_feedbacks = Route(
        "POST",
        "/api/add_feedbacks",
        AddFeedbackRequest,
        AddFeedbackResponse,
        per_minute=60,
        via=_or_todays,
    )
    """Store lessons for the agent as they are; today: add_agent_playbooks."""

    add_raw_feedback = Route(
        "POST",
        "/api/add_raw_feedback",
        AddRawFeedbackRequest,
        AddRawFeedbackResponse,
        per_minute=60,
        via=_or_todays,
    )
    """Store lessons of users as they are; today: add_user_playbook."""

    update_feedback_status = Route(
        "PUT",
        "/api/update_feedback_status",
        UpdateFeedbackStatusRequest,
        UpdateFeedbackStatusResponse,
        repeatable=True,
        via=_or_todays,
    )
    """Approve or reject one lesson; today: update_agent_playbook_status."""

    upgrade_raw_feedbacks = Route(
        "POST",
        "/api/upgrade_all_raw_feedbacks",
        UpgradeRawFeedbacksRequest,
        UpgradeRawFeedbacksResponse,
        refusal="return",
        via=_or_todays,
    )
    """Promote pending raw feedbacks; ``success`` is False without any. Today: upgrade_user_playbooks."""

    downgrade_raw_feedbacks = Route(
        "POST",
        "/api/downgrade_all_raw_feedbacks",
        DowngradeRawFeedbacksRequest,
        DowngradeRawFeedbacksResponse,
        refusal="return",
        via=_or_todays,
    )
    """Restore archived raw feedbacks; ``success`` is False without any. Today: downgrade_user_playbooks."""

    delete_feedback = BackgroundRoute(
        "DELETE",
        "/api/delete_feedback",
        DeleteFeedbackRequest,
        DeleteFeedbackResponse,
        start=delete_feedback,
        wait=delete_feedback_waiting,
        repeatable=True,
        via=_or_todays,
    )
    """Delete one lesson for the agent; today: delete_agent_playbook."""

    delete_raw_feedback = BackgroundRoute(
        "DELETE",
        "/api/delete_raw_feedback",
        DeleteRawFeedbackRequest,
        DeleteRawFeedbackResponse,
        start=delete_raw_feedback,
        wait=delete_raw_feedback_waiting,
        repeatable=True,
        via=_or_todays,
    )
    """Delete one lesson of a user; today: delete_user_playbook."""

    delete_request_group = BackgroundRoute(
        "DELETE",
        "/api/delete_request_group",
        DeleteRequestGroupRequest,
        DeleteRequestGroupResponse,
        start=delete_request_group,
        wait=delete_request_group_waiting,
        repeatable=True,
        via=_or_todays,
    )
    """Delete the requests of one group with their turns; today: delete_session."""
