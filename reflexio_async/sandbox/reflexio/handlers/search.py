"""Search over all kinds of learnings, and what all searches share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from reflexio_async.sandbox.http.responses import RequestRejected, Response, error_response, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.schemas.agent_playbooks import SearchAgentPlaybookRequestSchema
from reflexio_async.sandbox.reflexio.schemas.playbooks import SearchUserPlaybookRequestSchema
from reflexio_async.sandbox.reflexio.schemas.search import UnifiedSearchRequestSchema
from reflexio_async.sandbox.reflexio.simulation.ranking import ranked
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.configuration import arm_of
from reflexio_async.sandbox.reflexio.store.rows import (
    TOMBSTONES,
    StoredAgentPlaybook,
    StoredInteraction,
    StoredProfile,
    StoredUserPlaybook,
    tags_match,
)

_DEFAULT_TOP_K = 5
_WITHHELD: Final = "Retrieval withheld by experiment assignment"
_DEFAULT_APPROVALS: Final = {"pending", "approved"}

_Learning = StoredProfile | StoredUserPlaybook | StoredAgentPlaybook
_LearningT = TypeVar("_LearningT", StoredProfile, StoredUserPlaybook, StoredAgentPlaybook)

Assignment = dict[str, dict[str, str]]
"""The experiment and the user's arm, as responses show them. Empty while no experiment runs."""

routes: Final = Router()


@routes.post("/api/search", per_minute=120)
async def search(state: ReflexioState, body: UnifiedSearchRequestSchema) -> Response:
    """The best matches of each kind. With a session, the best that it has not seen."""
    assignment = assignment_of(state, body.user_id, "profiles", "agent_playbooks", "user_playbooks")
    session, kinds = (body.session_id or "").strip(), body.entity_types
    seen = state.shown_results[session] if session else set[tuple[str, str]]()
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, rows in _candidates(state, body).items():
        best = ranked(body.query, rows, _search_text) if not kinds or kind in kinds else []
        new = [row for row in best if (kind, _id(row)) not in seen]
        shown = new[: body.top_k or _DEFAULT_TOP_K]
        seen.update((kind, _id(row)) for row in shown)
        found[kind] = [row.view() for row in shown]
    mode = {"degraded": True, "search_mode_effective": "fts"}
    return succeeded(**found, **mode, **assignment)


def _candidates(state: ReflexioState, body: UnifiedSearchRequestSchema) -> dict[str, Iterable[_Learning]]:
    approvals = body.agent_playbook_status_filter
    approved = _DEFAULT_APPROVALS if approvals is None else {approval.value for approval in approvals}
    profiles = state.store.profiles_of(body.user_id) if body.user_id else []
    return {
        "profiles": (
            row
            for row in profiles
            if row.status is None
            and body.source in (None, "", row.source)
            and tags_match(row.tags, body.tags)
        ),
        "agent_playbooks": (
            row
            for row in agent_playbooks_matching(state, body)
            if row.status is None and row.playbook_status in approved
        ),
        "user_playbooks": (
            row for row in user_playbooks_matching(state, body) if row.status not in TOMBSTONES
        ),
    }


def _search_text(row: _Learning) -> str:
    return row.search_text


def _id(row: _Learning) -> str:
    if isinstance(row, StoredProfile):
        return row.profile_id
    return str(row.user_playbook_id if isinstance(row, StoredUserPlaybook) else row.agent_playbook_id)


def user_playbooks_matching(
    state: ReflexioState, body: SearchUserPlaybookRequestSchema | UnifiedSearchRequestSchema
) -> list[StoredUserPlaybook]:
    """The user playbooks that a search's filters match, oldest first."""
    return [
        row
        for row in state.store.playbooks.values()
        if body.user_id in (None, "", row.user_id)
        and body.agent_version in (None, "", row.agent_version)
        and body.playbook_name in (None, "", row.playbook_name)
        and body.source in (None, row.source or "")
        and tags_match(row.tags, body.tags)
    ]


def agent_playbooks_matching(
    state: ReflexioState, body: SearchAgentPlaybookRequestSchema | UnifiedSearchRequestSchema
) -> list[StoredAgentPlaybook]:
    """The agent playbooks that a search's filters match, oldest first."""
    return [
        row
        for row in state.store.agent_playbooks.values()
        if body.agent_version in (None, "", row.agent_version)
        and body.playbook_name in (None, "", row.playbook_name)
        and (body.source is None or _comes_from(state, row, body.source))
        and tags_match([], body.tags)
    ]


def _comes_from(state: ReflexioState, row: StoredAgentPlaybook, source: str) -> bool:
    users = (state.store.playbooks.get(key) for key in row.sources)
    return any(user is not None and (user.source or "") == source for user in users)


def best_matches(query: str | None, rows: list[_LearningT]) -> list[_LearningT]:
    """The rows that match, best first. Without a query, all of them as they are."""
    return ranked(query, rows, _search_text) if query else rows


def assignment_of(state: ReflexioState, user_id: str | None, *kinds: str) -> Assignment:
    """The user's assignment in the running experiment.

    Raises:
        RequestRejected: An experiment runs, and there is no user, or learnings of these kinds are withheld
            from the user (server-behaviour: Experiments).
    """
    experiment = state.configuration.current.retrieval_experiment_config
    if experiment is None:
        return {}
    if user_id is None or not user_id.strip():
        raise RequestRejected(
            error_response(422, "user_id is required while a retrieval experiment is active")
        )
    arm = arm_of(experiment, user_id)
    assignment = {"experiment": {"experiment_id": experiment.experiment_id, "arm": arm}}
    if arm == "holdout":
        nothing: dict[str, Any] = {kind: [] for kind in kinds}
        body = {"success": True, **nothing, "msg": _WITHHELD, **assignment}
        raise RequestRejected(Response({**body, "degraded": False} if len(kinds) > 1 else body))
    return assignment


def search_response(
    kind: str,
    rows: Sequence[_Learning | StoredInteraction],
    noun: str,
    assignment: Assignment | None = None,
) -> Response:
    """The response of the searches over one kind."""
    msg = f"Found {len(rows)} matching {noun}"
    views = [row.view() for row in rows]
    return Response({"success": True, kind: views, "msg": msg, **(assignment or {})})
