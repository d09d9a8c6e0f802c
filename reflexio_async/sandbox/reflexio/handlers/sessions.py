"""Sessions: saying that one is over, how it ended, and deleting it (server-behaviour: Sessions)."""

from __future__ import annotations

from typing import Final

from reflexio_async.sandbox.http.responses import Response, refused, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.schemas import sessions as schemas
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.session_outcomes import StoredSessionOutcome

CLOCK_TOLERANCE: Final = 24 * 3600
"""Seconds by which a caller's clock may be ahead."""

routes: Final = Router()


@routes.post("/api/finalize_session", per_minute=60)
async def finalize_session(state: ReflexioState, body: schemas.FinalizeSessionRequestSchema) -> Response:
    """Learn from everything in a session now. An unknown session is not accepted."""
    accepted = state.learner.finish(body.user_id, body.session_id)
    message = (
        "Completion hint accepted; learning is asynchronous." if accepted else "No saved session to finalize."
    )
    return succeeded(accepted=accepted, message=message)


@routes.post("/api/session_outcome", per_minute=60)
async def session_outcome(state: ReflexioState, body: schemas.SetSessionOutcomeRequestSchema) -> Response:
    """Store the first outcome of a session. The same again is not recorded; another is a conflict."""
    if body.occurred_at > state.store.now + CLOCK_TOLERANCE:
        return _not_recorded("occurred_in_future", "Outcome occurred too far in the future")
    requests = state.store.session(body.session_id)
    if not requests:
        return _not_recorded("unknown_session", "Session has no published requests")
    first = requests[0]
    if (known := state.outcomes.rows.get((first.user_id, body.session_id))) is not None:
        if known.given == body:
            same = {"success": True, "recorded": False, "message": "Outcome already exists"}
            return Response({**same, **known.keys})
        conflict = _not_recorded("conflicting_finalization", "Outcome was not recorded").body
        return Response({**conflict, **known.keys})
    if body.occurred_at < first.created_at:
        early = _not_recorded("occurred_before_session", "Outcome occurred before the session began").body
        return Response({**early, "user_id": first.user_id, "source": first.source})
    outcome = state.outcomes.add(body, requests, state.store.now)
    return succeeded(recorded=True, message="Outcome recorded", **outcome.keys)


def _not_recorded(reason: str, message: str) -> Response:
    return refused(recorded=False, reason=reason, message=message)


@routes.post("/api/get_session_outcomes", per_minute=60)
async def get_session_outcomes(
    state: ReflexioState, body: schemas.GetSessionOutcomesRequestSchema
) -> Response:
    """Latest first. An empty list of sessions means all."""

    def matches(outcome: StoredSessionOutcome) -> bool:
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
        filter(matches, state.outcomes.rows.values()),
        key=lambda outcome: (-outcome.given.occurred_at, outcome.user_id, outcome.given.session_id),
    )
    page = [outcome.view() for outcome in rows[body.offset : body.offset + body.top_k]]
    return succeeded(session_outcomes=page, message="")


@routes.delete("/api/delete_session")
async def delete_session(state: ReflexioState, body: schemas.DeleteSessionRequestSchema) -> Response:
    """Delete the requests of a session. Its outcome remains."""
    count = state.store.delete_requests(state.store.session(body.session_id))
    return succeeded(message=f"Deleted {count} item(s)", deleted_requests_count=count)
