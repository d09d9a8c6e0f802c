"""Agent playbooks: reading, searching, writing, approving and deleting them."""

from __future__ import annotations

from typing import Any, Final

from reflexio_async.sandbox.http.responses import Response, refused, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.handlers.changed import deleted, deleted_all, deleted_count
from reflexio_async.sandbox.reflexio.handlers.search import (
    agent_playbooks_matching,
    assignment_of,
    best_matches,
    search_response,
)
from reflexio_async.sandbox.reflexio.schemas import agent_playbooks as schemas
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.rows import TOMBSTONES, matches_or_default, tags_match

_DEFAULT_LIMIT = 100
_DEFAULT_TOP_K = 10
_DAY = 24 * 3600

routes: Final = Router()


@routes.post("/api/get_agent_playbooks", per_minute=120)
async def get_agent_playbooks(state: ReflexioState, body: schemas.GetAgentPlaybooksRequestSchema) -> Response:
    """Newest first. Without a filter, those that nothing has replaced."""
    rows = [
        row.view()
        for row in reversed(state.store.agent_playbooks.values())
        if matches_or_default(row.status, body.status_filter, default=row.status not in TOMBSTONES)
        and body.agent_playbook_id in (None, row.agent_playbook_id)
        and body.agent_version in (None, "", row.agent_version)
        and body.playbook_name in (None, "", row.playbook_name)
        and (body.playbook_status_filter is None or body.playbook_status_filter.value == row.playbook_status)
        and (not body.query or body.query.lower() in f"{row.trigger or ''} {row.content}".lower())
        and tags_match([], body.tags)
        and body.includes(row.created_at)
    ][: body.limit or _DEFAULT_LIMIT]
    return succeeded(agent_playbooks=rows, msg=f"Found {len(rows)} agent playbook(s)")


@routes.post("/api/search_agent_playbooks", per_minute=120)
async def search_agent_playbooks(
    state: ReflexioState, body: schemas.SearchAgentPlaybookRequestSchema
) -> Response:
    """Best match first. Without a filter, current and pending ones of every approval."""
    assignment = assignment_of(state, body.user_id, "agent_playbooks")
    wanted = body.playbook_status_filter
    approvals = wanted if isinstance(wanted, list) or wanted is None else [wanted]
    rows = [
        row
        for row in agent_playbooks_matching(state, body)
        if (approvals is None or row.playbook_status in {approval.value for approval in approvals})
        and matches_or_default(row.status, body.status_filter, default=row.status in {None, "pending"})
        and body.includes(row.created_at)
    ]
    rows = best_matches(body.query, rows)[: body.top_k or _DEFAULT_TOP_K]
    return search_response("agent_playbooks", rows, "agent playbook(s)", assignment)


@routes.post("/api/add_agent_playbook", per_minute=60)
async def add_agent_playbook(state: ReflexioState, body: schemas.AddAgentPlaybookRequestSchema) -> Response:
    """Store them, current and without tags, under the server's own ids."""
    for given in body.agent_playbooks:
        state.store.write_agent_playbook(given)
    count = len(body.agent_playbooks)
    return succeeded(message=f"Added {count} item(s)", added_count=count)


@routes.put("/api/update_agent_playbook")
async def update_agent_playbook(
    state: ReflexioState, body: schemas.UpdateAgentPlaybookRequestSchema
) -> Response:
    """Change the given fields. Without any, an unknown id succeeds too."""
    done = "Agent playbook updated successfully"
    if not body.model_dump(exclude_none=True, exclude={"agent_playbook_id"}):
        return succeeded(msg=done)
    if (row := state.store.agent_playbooks.get(body.agent_playbook_id)) is None:
        return _missing(body.agent_playbook_id)
    row.playbook_name = row.playbook_name if body.playbook_name is None else body.playbook_name
    row.content = row.content if body.content is None else body.content
    row.trigger = row.trigger if body.trigger is None else body.trigger
    row.rationale = row.rationale if body.rationale is None else body.rationale
    row.playbook_status = row.playbook_status if body.playbook_status is None else body.playbook_status.value
    return succeeded(msg=done)


@routes.put("/api/update_agent_playbook_status")
async def update_agent_playbook_status(
    state: ReflexioState, body: schemas.UpdatePlaybookStatusRequestSchema
) -> Response:
    """Approve or reject one."""
    if (row := state.store.agent_playbooks.get(body.agent_playbook_id)) is None:
        return _missing(body.agent_playbook_id)
    row.playbook_status = body.playbook_status.value
    return succeeded(msg="Playbook status updated successfully")


def _missing(agent_playbook_id: int) -> Response:
    # The server puts a traceback into this message.
    problem = f"Agent playbook with ID {agent_playbook_id} not found"
    trace = f"Stack trace:\nTraceback (most recent call last):\nValueError: {problem}\n"
    return refused(msg=f"StorageError: {problem}\n{trace}")


@routes.delete("/api/delete_agent_playbook")
async def delete_agent_playbook(
    state: ReflexioState, body: schemas.DeleteAgentPlaybookRequestSchema
) -> Response:
    """Delete one."""
    state.store.agent_playbooks.pop(body.agent_playbook_id, None)
    return deleted()


@routes.delete("/api/delete_agent_playbooks_by_ids")
async def delete_agent_playbooks_by_ids(
    state: ReflexioState, body: schemas.DeleteAgentPlaybooksByIdsRequestSchema
) -> Response:
    """Delete those that exist. The count is that of the given ids."""
    for key in body.agent_playbook_ids:
        state.store.agent_playbooks.pop(key, None)
    return deleted_count(len(body.agent_playbook_ids))


@routes.delete("/api/delete_all_agent_playbooks", per_minute=10)
async def delete_all_agent_playbooks(state: ReflexioState) -> Response:
    """Delete all, of every status."""
    state.store.agent_playbooks.clear()
    return deleted_all()


@routes.post("/api/get_playbook_application_stats")
async def get_playbook_application_stats(
    state: ReflexioState, body: schemas.GetPlaybookApplicationStatsRequestSchema
) -> Response:
    """The learnings that were cited, most cited first."""
    since = state.store.now - body.days_back * _DAY
    stats: dict[tuple[str, str], dict[str, Any]] = {}
    for interaction in state.store.interactions():
        if interaction.created_at < since:
            continue
        # An interaction that cites a learning twice applied it once.
        citations = interaction.given.citations
        for key, title in {(cited.kind.value, cited.real_id): cited.title for cited in citations}.items():
            kind, real_id = key
            stat = stats.setdefault(key, {"real_id": real_id, "kind": kind, "title": "", "applied_count": 0})
            stat["applied_count"] += 1
            stat["title"] = title or stat["title"]
            stat["last_applied_at"] = interaction.created_at
            stat["last_interaction_id"] = interaction.interaction_id
    ordered = sorted(stats.values(), key=lambda stat: -stat["applied_count"])
    return succeeded(stats=ordered, msg="Retrieved playbook application stats successfully")
