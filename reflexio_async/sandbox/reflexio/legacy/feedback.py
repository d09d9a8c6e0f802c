"""January's feedback and raw feedback: today's agent and user playbooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import Response, refused, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.handlers import operations
from reflexio_async.sandbox.reflexio.handlers.changed import deleted, downgraded, upgraded
from reflexio_async.sandbox.reflexio.handlers.search import best_matches
from reflexio_async.sandbox.reflexio.schemas import legacy as schemas
from reflexio_async.sandbox.reflexio.schemas.legacy import LegacyStatusSchema
from reflexio_async.sandbox.reflexio.simulation import promotion
from reflexio_async.sandbox.reflexio.simulation.generation import GenerationTask
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.rows import (
    TOMBSTONES,
    Status,
    StoredAgentPlaybook,
    StoredRequest,
    StoredUserPlaybook,
)

_DEFAULT_LIMIT, _DEFAULT_TOP_K = 100, 10

routes: Final = Router()


@routes.post("/api/get_raw_feedbacks")
async def get_raw_feedbacks(
    state: ReflexioState, body: schemas.LegacyGetRawFeedbacksRequestSchema
) -> Response:
    """Newest first. Without a filter, every status."""
    rows = [
        row
        for row in reversed(state.store.playbooks.values())
        if status_matches(row.status, body.status_filter)
        and body.feedback_name in (None, "", row.playbook_name)
    ]
    return _raw_feedbacks(rows[: body.limit or _DEFAULT_LIMIT])


@routes.post("/api/search_raw_feedbacks")
async def search_raw_feedbacks(
    state: ReflexioState, body: schemas.LegacySearchRawFeedbackRequestSchema
) -> Response:
    """Best match first."""
    rows = [
        row
        for row in reversed(state.store.playbooks.values())
        if status_matches(row.status, body.status_filter)
        and body.user_id in (None, "", row.user_id)
        and body.agent_version in (None, "", row.agent_version)
        and body.feedback_name in (None, "", row.playbook_name)
        and body.includes(row.created_at)
    ]
    return _raw_feedbacks(best_matches(body.query, rows)[: body.top_k or _DEFAULT_TOP_K])


@routes.post("/api/get_feedbacks")
async def get_feedbacks(state: ReflexioState, body: schemas.LegacyGetFeedbacksRequestSchema) -> Response:
    """Newest first. Without a filter, every status."""
    rows = [
        row
        for row in reversed(state.store.agent_playbooks.values())
        if status_matches(row.status, body.status_filter)
        and body.feedback_name in (None, "", row.playbook_name)
        and (body.feedback_status_filter is None or body.feedback_status_filter.value == row.playbook_status)
    ]
    return _feedbacks(rows[: body.limit or _DEFAULT_LIMIT])


@routes.post("/api/search_feedbacks")
async def search_feedbacks(state: ReflexioState, body: schemas.LegacySearchFeedbackRequestSchema) -> Response:
    """Best match first."""
    rows = [
        row
        for row in reversed(state.store.agent_playbooks.values())
        if status_matches(row.status, body.status_filter)
        and body.agent_version in (None, "", row.agent_version)
        and body.feedback_name in (None, "", row.playbook_name)
        and (body.feedback_status_filter is None or body.feedback_status_filter.value == row.playbook_status)
        and body.includes(row.created_at)
    ]
    return _feedbacks(best_matches(body.query, rows)[: body.top_k or _DEFAULT_TOP_K])


def status_matches(status: Status, wanted: Sequence[LegacyStatusSchema | None] | None) -> bool:
    """Whether a status filter matches. Without a filter, every status does."""
    statuses = [None if each is None else each.value for each in wanted or ()]
    return status in statuses if statuses else status not in TOMBSTONES


def _raw_feedbacks(rows: Sequence[StoredUserPlaybook]) -> Response:
    views = [
        {
            "raw_feedback_id": row.user_playbook_id,
            "user_id": row.user_id,
            "agent_version": row.agent_version,
            "request_id": row.request_id,
            "feedback_name": row.playbook_name,
            "created_at": row.created_at,
            "feedback_content": row.content,
            "do_action": row.do_action,
            "do_not_action": row.do_not_action,
            "when_condition": row.trigger,
            "status": row.status,
            "source": row.source,
            "indexed_content": row.indexed,
            "embedding": list[float](),
        }
        for row in rows
    ]
    return succeeded(raw_feedbacks=views, msg=f"Found {len(views)} raw feedbacks")


def _feedbacks(rows: Sequence[StoredAgentPlaybook]) -> Response:
    views = [
        {
            "feedback_id": row.agent_playbook_id,
            "feedback_name": row.playbook_name,
            "agent_version": row.agent_version,
            "created_at": row.created_at,
            "feedback_content": row.content,
            "do_action": row.do_action,
            "do_not_action": row.do_not_action,
            "when_condition": row.trigger,
            "feedback_status": row.playbook_status,
            "feedback_metadata": row.playbook_metadata,
            "status": row.status,
            "embedding": list[float](),
        }
        for row in rows
    ]
    return succeeded(feedbacks=views, msg=f"Found {len(views)} feedbacks")


@routes.post("/api/add_raw_feedback")
async def add_raw_feedback(state: ReflexioState, body: schemas.LegacyAddRawFeedbackRequestSchema) -> Response:
    """Store it as given, under the server's own ids."""
    for given in body.raw_feedbacks:
        playbook = StoredUserPlaybook(
            user_id=given.user_id,
            agent_version=given.agent_version,
            request_id=given.request_id,
            created_at=state.store.created_at(given),
            trigger=given.when_condition,
            status=given.status and given.status.value,
            content=given.feedback_content,
            playbook_name=given.feedback_name,
            source=given.source,
            do_action=given.do_action,
            do_not_action=given.do_not_action,
            indexed=given.indexed_content or "",
        )
        state.store.add_playbook(playbook)
    return _added(len(body.raw_feedbacks), "raw feedbacks")


@routes.post("/api/add_feedbacks")
async def add_feedbacks(state: ReflexioState, body: schemas.LegacyAddFeedbackRequestSchema) -> Response:
    """Store it as given, under the server's own ids."""
    for given in body.feedbacks:
        playbook = StoredAgentPlaybook(
            agent_version=given.agent_version,
            created_at=state.store.created_at(given),
            content=given.feedback_content,
            playbook_name=given.feedback_name,
            trigger=given.when_condition,
            playbook_status=given.feedback_status.value,
            playbook_metadata=given.feedback_metadata,
            status=given.status and given.status.value,
            do_action=given.do_action,
            do_not_action=given.do_not_action,
        )
        state.store.add_agent_playbook(playbook)
    return _added(len(body.feedbacks), "feedbacks")


def _added(count: int, noun: str) -> Response:
    return succeeded(message=f"Added {count} {noun}", added_count=count)


@routes.put("/api/update_feedback_status")
async def update_feedback_status(
    state: ReflexioState, body: schemas.LegacyUpdateFeedbackStatusRequestSchema
) -> Response:
    """Approve or reject one."""
    if (row := state.store.agent_playbooks.get(body.feedback_id)) is None:
        return refused(msg=f"Feedback with ID {body.feedback_id} not found")
    row.playbook_status = body.feedback_status.value
    return succeeded(msg=None)


@routes.delete("/api/delete_feedback")
async def delete_feedback(state: ReflexioState, body: schemas.LegacyDeleteFeedbackRequestSchema) -> Response:
    """Delete one."""
    state.store.agent_playbooks.pop(body.feedback_id, None)
    return deleted()


@routes.delete("/api/delete_raw_feedback")
async def delete_raw_feedback(
    state: ReflexioState, body: schemas.LegacyDeleteRawFeedbackRequestSchema
) -> Response:
    """Delete one."""
    state.store.playbooks.pop(body.raw_feedback_id, None)
    return deleted()


@routes.post("/api/upgrade_all_raw_feedbacks")
async def upgrade_all_raw_feedbacks(
    state: ReflexioState, body: schemas.LegacyMoveRawFeedbacksRequestSchema
) -> Response:
    """Make pending ones current, archive current ones and delete archived ones."""
    counts = promotion.upgrade_playbooks(state.store, body.agent_version, archive_current=True)
    return upgraded("raw_feedbacks", counts)


@routes.post("/api/downgrade_all_raw_feedbacks")
async def downgrade_all_raw_feedbacks(
    state: ReflexioState, body: schemas.LegacyMoveRawFeedbacksRequestSchema
) -> Response:
    """Make archived ones current and archive current ones."""
    return downgraded("raw_feedbacks", promotion.downgrade_playbooks(state.store, body.agent_version))


@routes.post("/api/run_feedback_aggregation", per_minute=10)
async def run_feedback_aggregation(
    state: ReflexioState, body: schemas.LegacyRunFeedbackAggregationRequestSchema
) -> Response:
    """Aggregate raw feedback of one agent version now."""
    if body.agent_version in state.aggregator.failing:
        return refused(message=f"scripted failure of {body.agent_version}")
    count = state.aggregator.aggregate(body.agent_version)["playbooks_generated"]
    return succeeded(message=f"Feedback aggregation completed: {count} feedback(s)")


@routes.post("/api/rerun_feedback_generation", per_minute=5)
async def rerun_feedback_generation(
    state: ReflexioState, context: RequestContext, body: schemas.LegacyRerunFeedbackGenerationRequestSchema
) -> Response:
    """Start a rerun for all users who published for an agent version."""

    def selects(request: StoredRequest) -> bool:
        return (
            request.agent_version == body.agent_version
            and body.source in (None, "", request.source)
            and body.includes(request.created_at)
        )

    params = {**body.model_dump(mode="json"), **operations.times(body)}
    task = GenerationTask(state.store.users_with(selects), "pending", selects, body.agent_version)
    return await operations.rerun(state, context, "feedback", task, claimed=params, params=params)


@routes.post("/api/manual_feedback_generation", per_minute=5)
async def manual_feedback_generation(
    state: ReflexioState, context: RequestContext, body: schemas.LegacyManualFeedbackGenerationRequestSchema
) -> Response:
    """Generate current feedback of an agent version for all users."""

    def selects(request: StoredRequest) -> bool:
        return request.agent_version == body.agent_version and body.source in (None, "", request.source)

    params: dict[str, Any] = {**body.model_dump(mode="json"), "mode": "manual_regular"}
    return await operations.manual(
        state,
        context,
        "feedback",
        GenerationTask(state.store.users_with(selects), None, selects, body.agent_version),
        params=params,
        no_users="No interactions found to process",
        done=lambda count: f"Generated {count} feedback entries",
    )
