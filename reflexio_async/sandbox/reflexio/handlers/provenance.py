"""Provenance: the interactions that a learning comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reflexio_async.sandbox.http.responses import Response
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.schemas.provenance import GetLearningProvenanceRequestSchema
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.rows import (
    StoredAgentPlaybook,
    StoredProfile,
    StoredUserPlaybook,
)

_NO_WINDOW = "No interactions found for reconstructed window"

routes: Final = Router()


@routes.post("/api/get_learning_provenance")
async def get_learning_provenance(state: ReflexioState, body: GetLearningProvenanceRequestSchema) -> Response:
    """The interactions of a learning; for an agent playbook, its user playbooks with their interactions."""
    if body.kind == "profile":
        profile = state.store.profile(body.id)
        return _unknown(body, "Profile not found") if profile is None else _profile(state, body, profile)
    if not body.id.strip().lstrip("+-").isdecimal():
        return _unknown(body, f"{body.kind} id must be an integer")
    if body.kind == "user_playbook":
        playbook = state.store.playbooks.get(int(body.id))
        if playbook is None:
            return _unknown(body, "User playbook not found")
        return _user_playbook(state, body, playbook)
    agent_playbook = state.store.agent_playbooks.get(int(body.id))
    # A superseded one counts as deleted.
    if agent_playbook is None or agent_playbook.status is not None:
        return _unknown(body, "Agent playbook not found")
    return _agent_playbook(state, body, agent_playbook)


def _profile(state: ReflexioState, body: GetLearningProvenanceRequestSchema, row: StoredProfile) -> Response:
    if row.source_interaction_ids:
        interactions = _interactions(state, row.source_interaction_ids)
        return _answer(
            body, "exact", trigger_request_id=row.generated_from_request_id, interactions=interactions
        )
    if not row.generated_from_request_id:
        return _unknown(body, "Profile has no generation request for provenance reconstruction")
    if (request := state.store.requests.get(row.generated_from_request_id)) is None:
        return _unknown(body, "Profile generation request was not found")
    interactions = [each.view() for each in request.interactions]
    found = {"trigger_request_id": row.generated_from_request_id, "interactions": interactions}
    if not interactions:
        return _answer(body, "unavailable", **found, msg=_NO_WINDOW)
    return _answer(body, "best_effort", **found)


def _user_playbook(
    state: ReflexioState, body: GetLearningProvenanceRequestSchema, row: StoredUserPlaybook
) -> Response:
    interactions = _evidence(state, row)
    found = {"trigger_request_id": row.request_id, "interactions": interactions}
    if not interactions:
        return _answer(body, "unavailable", **found, msg="No interactions found for this user playbook")
    return _answer(body, "exact" if row.source_interaction_ids else "best_effort", **found)


def _agent_playbook(
    state: ReflexioState, body: GetLearningProvenanceRequestSchema, row: StoredAgentPlaybook
) -> Response:
    if not row.sources:
        msg = "No source user playbooks are recorded for this agent playbook"
        return _answer(body, "unavailable", msg=msg)
    sources = [source for key in row.sources if (source := state.store.playbooks.get(key)) is not None]
    if not sources:
        return _unknown(body, "Recorded source user playbooks were not found")
    groups = [
        {
            "user_playbook": source.view(),
            "interactions": _evidence(state, source),
            "source_interaction_ids": source.source_interaction_ids,
        }
        for source in sources
    ]
    if not any(group["interactions"] for group in groups):
        msg = "No source interactions were found"
        return _answer(body, "unavailable", source_user_playbooks=groups, msg=msg)
    exact = len(sources) == len(row.sources) and all(source.source_interaction_ids for source in sources)
    return _answer(body, "exact" if exact else "best_effort", source_user_playbooks=groups)


def _evidence(state: ReflexioState, row: StoredUserPlaybook) -> list[dict[str, Any]]:
    if row.source_interaction_ids:
        return _interactions(state, row.source_interaction_ids)
    request = state.store.requests.get(row.request_id)
    return [each.view() for each in request.interactions] if request else []


def _interactions(state: ReflexioState, interaction_ids: Sequence[int]) -> list[dict[str, Any]]:
    wanted = set(interaction_ids)
    found = [each for each in state.store.interactions() if each.interaction_id in wanted]
    found.sort(key=lambda each: (each.created_at, each.interaction_id))
    return [each.view() for each in found]


def _unknown(body: GetLearningProvenanceRequestSchema, msg: str) -> Response:
    return _answer(body, "unavailable", success=False, msg=msg)


def _answer(body: GetLearningProvenanceRequestSchema, status: str, **found: Any) -> Response:
    return Response(
        {
            "success": True,
            "target_kind": body.kind,
            "target_id": body.id,
            "provenance_status": status,
            "interactions": list[Any](),
            "source_user_playbooks": list[Any](),
            **found,
        }
    )
