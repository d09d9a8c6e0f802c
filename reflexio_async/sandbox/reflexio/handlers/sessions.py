"""The end of sessions: a hint that nothing more comes, and how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reflexio_async.sandbox.http.responses import Reply

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.sessions import FinalizeSession, GetOutcomes, SetOutcome
    from reflexio_async.sandbox.reflexio.state import World
    from reflexio_async.sandbox.reflexio.store.session_outcomes import Outcome

AHEAD: Final = 24 * 3600
"""Seconds by which a caller's clock may be ahead."""


async def finalize(world: World, _call: Call, body: FinalizeSession) -> Reply:
    """Accept the hint for a session that is there: what it said so far is learnt from without more."""
    known = world.learning.finish(body.user_id, body.session_id)
    message = (
        "Completion hint accepted; learning is asynchronous." if known else "No saved session to finalize."
    )
    return Reply({"success": True, "accepted": known, "message": message})


async def set_outcome(world: World, _call: Call, body: SetOutcome) -> Reply:
    """The first one counts; the same again is no news, another is a conflict."""
    if body.occurred_at > world.store.now + AHEAD:
        return _refused("occurred_in_future", "Outcome occurred too far in the future")
    requests = world.store.session(body.session_id)
    if not requests:
        return _refused("unknown_session", "Session has no published requests")
    first = requests[0]
    if (known := world.outcomes.rows.get((first.user_id, body.session_id))) is not None:
        if known.given == body:
            return Reply(
                {"success": True, "recorded": False, "message": "Outcome already exists", **known.keys}
            )
        answer = _refused("conflicting_finalization", "Outcome was not recorded").body
        return Reply({**answer, **known.keys})
    if body.occurred_at < first.created_at:
        answer = _refused("occurred_before_session", "Outcome occurred before the session began").body
        return Reply({**answer, "user_id": first.user_id, "source": first.source})
    outcome = world.outcomes.record(body, requests, world.store.now)
    return Reply({"success": True, "recorded": True, "message": "Outcome recorded", **outcome.keys})


def _refused(reason: str, message: str) -> Reply:
    return Reply({"success": False, "recorded": False, "reason": reason, "message": message})


async def get_outcomes(world: World, _call: Call, body: GetOutcomes) -> Reply:
    """Latest first; an empty list of sessions means all."""

    def fits(outcome: Outcome) -> bool:
        given = outcome.given
        return (
            (not body.session_ids or given.session_id in body.session_ids)
            and body.user_id in (None, outcome.user_id)
            and body.source in (None, outcome.source)
            and body.outcome in (None, given.outcome)
            and body.label in (None, given.label)
            and (body.start_time is None or given.occurred_at >= body.start_time)
            and (body.end_time is None or given.occurred_at <= body.end_time)
        )

    rows = sorted(
        filter(fits, world.outcomes.rows.values()),
        key=lambda outcome: (-outcome.given.occurred_at, outcome.user_id, outcome.given.session_id),
    )
    page = [outcome.view() for outcome in rows[body.offset : body.offset + body.top_k]]
    return Reply({"success": True, "session_outcomes": page, "message": ""})
