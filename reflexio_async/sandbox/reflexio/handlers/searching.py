"""Searches: full text, one kind at a time or all at once, for those whom no experiment leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from reflexio_async.sandbox.http.responses import Refused, Reply, problem
from reflexio_async.sandbox.reflexio.simulation.ranking import ranked
from reflexio_async.sandbox.reflexio.store.configuration import arm_of
from reflexio_async.sandbox.reflexio.store.rows import (
    TOMBSTONES,
    AgentPlaybook,
    Playbook,
    Profile,
    shows,
    tagged,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas import searching as bodies
    from reflexio_async.sandbox.reflexio.schemas.common import Approval
    from reflexio_async.sandbox.reflexio.state import World

_TOP_10, _TOP_5 = 10, 5
_WITHHELD: Final = "Retrieval withheld by experiment assignment"
_WELCOME = ("pending", "approved")
"""Agent playbooks that a search of everything shows unless told otherwise."""

_Row = TypeVar("_Row")
_Learning = Profile | Playbook | AgentPlaybook

Assignment = dict[str, dict[str, str]]


async def interactions(world: World, _call: Call, body: bodies.SearchInteractions) -> Reply:
    """One user's turns; without a query the most recent, when a number of them is asked for."""
    turns = [
        turn
        for turn in world.store.turns(body.user_id)
        if body.request_id in (None, "", turn.request_id) and body.holds(turn.created_at)
    ]
    if body.query:
        turns = ranked(body.query, turns, lambda turn: turn.content)[: body.most_recent_k or _TOP_10]
    else:
        turns = (
            sorted(turns, key=lambda turn: turn.created_at)[-body.most_recent_k :]
            if body.most_recent_k
            else []
        )
    return _found("interactions", [turn.view() for turn in turns], "interaction(s)")


async def profiles(world: World, _call: Call, body: bodies.SearchProfiles) -> Reply:
    """One user's current ones; a session changes nothing here."""
    assignment = _assignment(world, body.user_id)
    if _left_out(assignment):
        return _withheld("user_profiles", assignment)
    rows = [
        row
        for row in world.store.profiles_of(body.user_id)
        if row.status is None
        and body.source in (None, "", row.source)
        and body.generated_from_request_id in (None, "", row.request_id)
        and tagged(row.tags, body.tags)
        and body.holds(row.last_modified)
    ]
    rows = _matching(body.query, rows, profile_text)[: body.top_k or _TOP_10]
    if body.custom_feature:
        # After the cut, as the server does.
        wanted = body.custom_feature.lower()
        rows = [row for row in rows if wanted in str(row.custom_features).lower()]
    return _found("user_profiles", [row.view() for row in rows], "profile(s)", assignment)


async def user_playbooks(world: World, _call: Call, body: bodies.SearchUserPlaybooks) -> Reply:
    """Of every status unless told otherwise."""
    assignment = _assignment(world, body.user_id)
    if _left_out(assignment):
        return _withheld("user_playbooks", assignment)
    rows = [
        row
        for row in _user_playbooks(world, body)
        if (
            row.status not in TOMBSTONES
            if body.status_filter is None
            else shows(row.status, body.status_filter)
        )
        and body.holds(row.created_at)
    ]
    rows = _matching(body.query, rows[::-1], _indexed)[: body.top_k or _TOP_10]
    return _found("user_playbooks", [row.view() for row in rows], "user playbook(s)", assignment)


async def agent_playbooks(world: World, _call: Call, body: bodies.SearchAgentPlaybooks) -> Reply:
    """Current and pending ones, of every approval, unless told otherwise."""
    assignment = _assignment(world, body.user_id)
    if _left_out(assignment):
        return _withheld("agent_playbooks", assignment)
    wanted = body.playbook_status_filter
    approvals = wanted if isinstance(wanted, list) or wanted is None else [wanted]
    rows = [
        row
        for row in _agent_playbooks(world, body, approvals)
        if (
            row.status in {None, "pending"}
            if body.status_filter is None
            else shows(row.status, body.status_filter)
        )
        and body.holds(row.created_at)
    ]
    rows = _matching(body.query, rows, _indexed)[: body.top_k or _TOP_10]
    return _found("agent_playbooks", [row.view() for row in rows], "agent playbook(s)", assignment)


async def everything(world: World, _call: Call, body: bodies.SearchAll) -> Reply:
    """The best of each kind; with a session, the best that it was not shown yet."""
    assignment = _assignment(world, body.user_id)
    if _left_out(assignment):
        withheld = _withheld("profiles", assignment).body
        return Reply({**withheld, "agent_playbooks": [], "user_playbooks": [], "degraded": False})
    session, kinds = (body.session_id or "").strip(), body.entity_types
    approvals = body.agent_playbook_status_filter
    named = set(_WELCOME) if approvals is None else {approval.value for approval in approvals}
    candidates: dict[str, Iterable[_Learning]] = {
        "profiles": (
            row
            for row in (world.store.profiles_of(body.user_id) if body.user_id else ())
            if row.status is None and body.source in (None, "", row.source) and tagged(row.tags, body.tags)
        ),
        "agent_playbooks": (
            row for row in _agent_playbooks(world, body, None) if row.status is None and row.approval in named
        ),
        "user_playbooks": (row for row in _user_playbooks(world, body) if row.status not in TOMBSTONES),
    }
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, rows in candidates.items():
        best = ranked(body.query, rows, _text) if not kinds or kind in kinds else []
        new = [row for row in best if world.served.new(session, kind, _key(row))]
        shown = new[: body.top_k or _TOP_5]
        world.served.show(session, ((kind, _key(row)) for row in shown))
        found[kind] = [row.view() for row in shown]
    state = {"degraded": True, "search_mode_effective": "fts"}
    return Reply({"success": True, **found, **state, **assignment})


async def rerank(world: World, _call: Call, body: bodies.Rerank) -> Reply:
    """Those named that are the user's, in order of their likeness to the query."""
    if not body.profile_ids:
        return Reply({"success": True, "user_profiles": [], "msg": "No profile_ids provided"})
    named = list(dict.fromkeys(body.profile_ids))
    owned = {row.profile_id: row for row in world.store.profiles_of(body.user_id)}
    known = [owned[key] for key in named if key in owned]
    best = ranked(body.query, known, profile_text)
    chosen = {row.profile_id for row in best}
    order = [*best, *(row for row in known if row.profile_id not in chosen)]
    msg = f"Reranked {len(known)} profile(s); dropped {len(named) - len(known)} unknown id(s)"
    views = [row.view() for row in order[: body.top_k]]
    return Reply({"success": True, "user_profiles": views, "msg": msg})


def profile_text(row: Profile) -> str:
    """What searches look at of a profile."""
    return " ".join([row.content, *map(str, (row.custom_features or {}).values())])


def _indexed(row: Playbook | AgentPlaybook) -> str:
    return row.indexed


def _text(row: _Learning) -> str:
    return profile_text(row) if isinstance(row, Profile) else row.indexed


def _key(row: _Learning) -> str:
    if isinstance(row, Profile):
        return row.profile_id
    return str(row.user_playbook_id if isinstance(row, Playbook) else row.agent_playbook_id)


def _user_playbooks(world: World, body: bodies.SearchUserPlaybooks | bodies.SearchAll) -> list[Playbook]:
    return [
        row
        for row in world.store.playbooks.values()
        if body.user_id in (None, "", row.user_id)
        and body.agent_version in (None, "", row.agent_version)
        and body.playbook_name in (None, "", row.name)
        and body.source in (None, row.source or "")
        and tagged(row.tags, body.tags)
    ]


def _agent_playbooks(
    world: World,
    body: bodies.SearchAgentPlaybooks | bodies.SearchAll,
    approvals: Collection[Approval] | None,
) -> list[AgentPlaybook]:
    named = None if approvals is None else {approval.value for approval in approvals}
    return [
        row
        for row in world.store.agent_playbooks.values()
        if body.agent_version in (None, "", row.agent_version)
        and body.playbook_name in (None, "", row.name)
        and (named is None or row.approval in named)
        and (body.source is None or _stems_from(world, row, body.source))
        and tagged([], body.tags)
    ]


def _stems_from(world: World, row: AgentPlaybook, source: str) -> bool:
    users = (world.store.playbooks.get(key) for key in row.sources)
    return any(user is not None and (user.source or "") == source for user in users)


def _matching(query: str | None, rows: list[_Row], text: Callable[[_Row], str]) -> list[_Row]:
    return ranked(query, rows, text) if query else rows


def _assignment(world: World, user_id: str | None) -> Assignment:
    experiment = world.configuration.current.retrieval_experiment_config
    if experiment is None:
        return {}
    if user_id is None or not user_id.strip():
        raise Refused(problem(422, "user_id is required while a retrieval experiment is active"))
    return {"experiment": {"experiment_id": experiment.experiment_id, "arm": arm_of(experiment, user_id)}}


def _left_out(assignment: Assignment) -> bool:
    return bool(assignment) and assignment["experiment"]["arm"] == "holdout"


def _withheld(kind: str, assignment: Assignment) -> Reply:
    return Reply({"success": True, kind: [], "msg": _WITHHELD, **assignment})


def _found(kind: str, views: list[dict[str, Any]], noun: str, assignment: Assignment | None = None) -> Reply:
    msg = f"Found {len(views)} matching {noun}"
    return Reply({"success": True, kind: views, "msg": msg, **(assignment or {})})
