"""Where a learning comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox.http.responses import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.reading import GetProvenance
    from reflexio_async.sandbox.reflexio.state import World
    from reflexio_async.sandbox.reflexio.store.rows import AgentPlaybook, Playbook, Profile

_NO_WINDOW = "No interactions found for reconstructed window"


async def provenance(world: World, _call: Call, body: GetProvenance) -> Reply:
    """The turns, or the user playbooks with theirs."""
    if body.kind == "profile":
        profile = world.store.profile(body.id)
        return _unknown(body, "Profile not found") if profile is None else _profile(world, body, profile)
    if not body.id.strip().lstrip("+-").isdecimal():
        return _unknown(body, f"{body.kind} id must be an integer")
    if body.kind == "user_playbook":
        playbook = world.store.playbooks.get(int(body.id))
        if playbook is None:
            return _unknown(body, "User playbook not found")
        return _user_playbook(world, body, playbook)
    agents = world.store.agent_playbooks.get(int(body.id))
    # What was superseded is as good as gone.
    if agents is None or agents.status is not None:
        return _unknown(body, "Agent playbook not found")
    return _agent_playbook(world, body, agents)


def _profile(world: World, body: GetProvenance, row: Profile) -> Reply:
    if row.interaction_ids:
        found = {"trigger_request_id": row.request_id, "interactions": _turns(world, row.interaction_ids)}
        return _answer(body, "exact", **found)
    if not row.request_id:
        return _unknown(body, "Profile has no generation request for provenance reconstruction")
    if (request := world.store.requests.get(row.request_id)) is None:
        return _unknown(body, "Profile generation request was not found")
    found = {"trigger_request_id": row.request_id, "interactions": [turn.view() for turn in request.turns]}
    if not request.turns:
        return _answer(body, "unavailable", **found, msg=_NO_WINDOW)
    return _answer(body, "best_effort", **found)


def _user_playbook(world: World, body: GetProvenance, row: Playbook) -> Reply:
    turns = _evidence(world, row)
    found = {"trigger_request_id": row.request_id, "interactions": turns}
    if not turns:
        return _answer(body, "unavailable", **found, msg="No interactions found for this user playbook")
    return _answer(body, "exact" if row.interaction_ids else "best_effort", **found)


def _agent_playbook(world: World, body: GetProvenance, row: AgentPlaybook) -> Reply:
    if not row.sources:
        msg = "No source user playbooks are recorded for this agent playbook"
        return _answer(body, "unavailable", msg=msg)
    sources = [source for key in row.sources if (source := world.store.playbooks.get(key)) is not None]
    if not sources:
        return _unknown(body, "Recorded source user playbooks were not found")
    groups = [
        {
            "user_playbook": source.view(),
            "interactions": _evidence(world, source),
            "source_interaction_ids": source.interaction_ids,
        }
        for source in sources
    ]
    if not any(group["interactions"] for group in groups):
        msg = "No source interactions were found"
        return _answer(body, "unavailable", source_user_playbooks=groups, msg=msg)
    whole = len(sources) == len(row.sources) and all(source.interaction_ids for source in sources)
    return _answer(body, "exact" if whole else "best_effort", source_user_playbooks=groups)


def _evidence(world: World, row: Playbook) -> list[dict[str, Any]]:
    if row.interaction_ids:
        return _turns(world, row.interaction_ids)
    request = world.store.requests.get(row.request_id)
    return [turn.view() for turn in request.turns] if request else []


def _turns(world: World, interaction_ids: Sequence[int]) -> list[dict[str, Any]]:
    wanted = set(interaction_ids)
    turns = [turn for turn in world.store.turns() if turn.interaction_id in wanted]
    turns.sort(key=lambda turn: (turn.created_at, turn.interaction_id))
    return [turn.view() for turn in turns]


def _unknown(body: GetProvenance, msg: str) -> Reply:
    return _answer(body, "unavailable", success=False, msg=msg)


def _answer(body: GetProvenance, status: str, **found: Any) -> Reply:
    return Reply(
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
