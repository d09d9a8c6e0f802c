"""User playbooks: reading, searching, writing, promoting, reviewing and deleting them."""

from __future__ import annotations

import uuid
from typing import Any, Final

from reflexio_async.sandbox.http.responses import Response, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.handlers.changed import (
    deleted,
    deleted_all,
    deleted_count,
    downgraded,
    upgraded,
)
from reflexio_async.sandbox.reflexio.handlers.search import (
    assignment_of,
    best_matches,
    search_response,
    user_playbooks_matching,
)
from reflexio_async.sandbox.reflexio.schemas import playbooks as schemas
from reflexio_async.sandbox.reflexio.simulation import promotion
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.rows import (
    TOMBSTONES,
    StoredUserPlaybook,
    matches_or_default,
    tags_match,
)

_DEFAULT_LIMIT = 100
_DEFAULT_TOP_K = 10

routes: Final = Router()


@routes.post("/api/get_user_playbooks")
async def get_user_playbooks(state: ReflexioState, body: schemas.GetUserPlaybooksRequestSchema) -> Response:
    """Newest first. Without a filter, every status, archived included."""
    rows = [
        row.view()
        for row in reversed(state.store.playbooks.values())
        if matches_or_default(row.status, body.status_filter, default=row.status not in TOMBSTONES)
        and body.user_id in (None, "", row.user_id)
        and body.user_playbook_id in (None, row.user_playbook_id)
        and body.agent_version in (None, "", row.agent_version)
        and body.playbook_name in (None, "", row.playbook_name)
        and body.request_id in (None, "", row.request_id)
        and (not body.query or body.query.lower() in f"{row.trigger or ''} {row.content}".lower())
        and tags_match(row.tags, body.tags)
        and body.includes(row.created_at)
    ][: body.limit or _DEFAULT_LIMIT]
    return succeeded(user_playbooks=rows, msg=f"Found {len(rows)} user playbook(s)")


@routes.post("/api/search_user_playbooks", per_minute=120)
async def search_user_playbooks(
    state: ReflexioState, body: schemas.SearchUserPlaybookRequestSchema
) -> Response:
    """Best match first. Without a filter, every status."""
    assignment = assignment_of(state, body.user_id, "user_playbooks")
    rows = [
        row
        for row in user_playbooks_matching(state, body)
        if matches_or_default(row.status, body.status_filter, default=row.status not in TOMBSTONES)
        and body.includes(row.created_at)
    ]
    rows = best_matches(body.query, rows[::-1])[: body.top_k or _DEFAULT_TOP_K]
    return search_response("user_playbooks", rows, "user playbook(s)", assignment)


@routes.post("/api/add_user_playbook", per_minute=60)
async def add_user_playbook(state: ReflexioState, body: schemas.AddUserPlaybookRequestSchema) -> Response:
    """Store them as given, under the server's own ids."""
    for given in body.user_playbooks:
        state.store.write_playbook(given)
    count = len(body.user_playbooks)
    return succeeded(message=f"Added {count} item(s)", added_count=count)


@routes.put("/api/update_user_playbook")
async def update_user_playbook(
    state: ReflexioState, body: schemas.UpdateUserPlaybookRequestSchema
) -> Response:
    """Change the given fields. An unknown id succeeds too."""
    if (row := state.store.playbooks.get(body.user_playbook_id)) is not None:
        row.playbook_name = row.playbook_name if body.playbook_name is None else body.playbook_name
        row.content = row.content if body.content is None else body.content
        row.trigger = row.trigger if body.trigger is None else body.trigger
        row.rationale = row.rationale if body.rationale is None else body.rationale
    return succeeded(msg="User playbook updated successfully")


@routes.post("/api/upgrade_all_user_playbooks")
async def upgrade_all_user_playbooks(
    state: ReflexioState, body: schemas.UpgradeUserPlaybooksRequestSchema
) -> Response:
    """Make the pending ones of one agent version or all current."""
    counts = promotion.upgrade_playbooks(
        state.store, body.agent_version, archive_current=body.archive_current
    )
    return upgraded("user_playbooks", counts)


@routes.post("/api/downgrade_all_user_playbooks")
async def downgrade_all_user_playbooks(
    state: ReflexioState, body: schemas.DowngradeUserPlaybooksRequestSchema
) -> Response:
    """Make the archived ones of one agent version or all current."""
    return downgraded("user_playbooks", promotion.downgrade_playbooks(state.store, body.agent_version))


@routes.delete("/api/delete_user_playbook")
async def delete_user_playbook(
    state: ReflexioState, body: schemas.DeleteUserPlaybookRequestSchema
) -> Response:
    """Delete one."""
    state.store.playbooks.pop(body.user_playbook_id, None)
    return deleted()


@routes.delete("/api/delete_user_playbooks_by_ids")
async def delete_user_playbooks_by_ids(
    state: ReflexioState, body: schemas.DeleteUserPlaybooksByIdsRequestSchema
) -> Response:
    """Delete those that exist, and count them."""
    found = [state.store.playbooks.pop(key, None) for key in body.user_playbook_ids]
    return deleted_count(sum(row is not None for row in found))


@routes.delete("/api/delete_all_user_playbooks", per_minute=10)
async def delete_all_user_playbooks(state: ReflexioState) -> Response:
    """Delete all, of every status."""
    state.store.playbooks.clear()
    return deleted_all()


@routes.delete("/api/delete_all_playbooks", per_minute=10)
async def delete_all_playbooks(state: ReflexioState) -> Response:
    """Delete all user and agent playbooks."""
    state.store.playbooks.clear()
    state.store.agent_playbooks.clear()
    return deleted_all()


@routes.post("/api/review_user_playbooks", per_minute=5)
async def review_user_playbooks(
    state: ReflexioState, body: schemas.ReviewUserPlaybooksRequestSchema
) -> Response:
    """Review the latest current ones: accept those whose interactions exist, skip the others."""
    run_id = f"playbook_review_{uuid.uuid4().hex}"
    if not body.report_only:
        msg = "User playbook review started"
        return Response({**_review_counts([], report_only=False), "run_id": run_id, "msg": msg})
    start, end = int(body.start_time.timestamp()), int(body.end_time.timestamp())
    rows = [
        row
        for row in reversed(state.store.playbooks.values())
        if row.status is None and start <= row.created_at <= end
    ][: body.top_k]
    known = {each.interaction_id for each in state.store.interactions()}
    results = [
        _review(row, grounded=bool(row.source_interaction_ids) and set(row.source_interaction_ids) <= known)
        for row in rows
    ]
    msg = f"Reviewed {len(rows)} user playbook(s)"
    return Response({**_review_counts(results, report_only=True), "run_id": run_id, "msg": msg})


def _review(row: StoredUserPlaybook, *, grounded: bool) -> dict[str, Any]:
    key = row.user_playbook_id
    if grounded:
        verdict = {"decision": "accept", "reason_code": "grounded_useful"}
    else:
        reason = f"User playbook {key} lacks validated evidence"
        verdict = {"decision": "skip", "reason_code": "evidence_unavailable", "reason": reason}
    return {"user_playbook_id": key, **verdict, "applied": False}


def _review_counts(results: list[dict[str, Any]], *, report_only: bool) -> dict[str, Any]:
    def count(decision: str) -> int:
        return sum(result["decision"] == decision for result in results)

    return {
        "success": True,
        "report_only": report_only,
        "selected_count": len(results),
        "accepted_count": count("accept"),
        "edited_count": 0,
        "rejected_count": 0,
        "skipped_count": count("skip"),
        "results": results,
    }
