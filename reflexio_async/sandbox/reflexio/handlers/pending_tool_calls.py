"""Pending tool calls: reading and answering what extraction asked."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import RequestRejected, Response, error_response
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.schemas import pending_tool_calls as schemas
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.pending_tool_calls import NOT_APPLICABLE, PendingToolCall

_SIGNATURE_TOLERANCE: Final = 300
"""Seconds by which the time of a signature may differ from the server's."""

_END_OF_CALENDAR: Final = 253_402_300_799
"""The last second of the year 9999. The server cannot store a later one either."""

_OTHER_RESULT: Final = "Pending tool call already resolved with a different result"
_PATH: Final = "/api/pending_tool_calls/{pending_tool_call_id}"

routes: Final = Router()


@routes.get("/api/pending_tool_calls")
async def list_pending_tool_calls(
    state: ReflexioState, query: schemas.PendingToolCallsQuerySchema
) -> Response:
    """Newest first."""
    status = query.status and query.status.value
    views = [row.view() for row in state.tool_calls.latest() if status in (None, row.status)]
    return Response({"pending_tool_calls": views[: query.limit]})


@routes.get(_PATH)
async def get_pending_tool_call(state: ReflexioState, context: RequestContext) -> Response:
    """One call."""
    return Response(_row(state, context).view())


@routes.post(f"{_PATH}/resolve")
async def resolve(
    state: ReflexioState, context: RequestContext, body: schemas.ResolvePendingToolCallRequestSchema
) -> Response:
    """Store the first result. The same again succeeds; another is a conflict."""
    _check_signature(state, context)
    row = _row(state, context)
    if row.status == "resolved":
        return Response(row.view()) if row.result == body.result else error_response(409, _OTHER_RESULT)
    _check_status(row, "pending")
    row.resolve(body.result, state.clock.time(), _validity(state, row, body.valid_for_seconds))
    return Response(row.view())


@routes.patch(f"{_PATH}/answer")
async def update_answer(
    state: ReflexioState, context: RequestContext, body: schemas.UpdatePendingToolCallAnswerRequestSchema
) -> Response:
    """Replace the answer to a question for a person."""
    _check_signature(state, context)
    row = _question_for_people(state, context)
    _check_status(row, "resolved")
    if not (answer := body.answer.strip()):
        return error_response(422, "Answer cannot be empty")
    row.resolve({"answer": answer}, state.clock.time(), _validity(state, row, body.valid_for_seconds))
    return Response(row.view())


@routes.post(f"{_PATH}/not_applicable")
async def not_applicable(
    state: ReflexioState, context: RequestContext, body: schemas.MarkPendingToolCallNotApplicableRequestSchema
) -> Response:
    """Say that there is no answer, even after one was given."""
    _check_signature(state, context)
    row = _question_for_people(state, context)
    _check_status(row, "pending", "resolved")
    row.resolve(dict(NOT_APPLICABLE), state.clock.time(), _validity(state, row, body.valid_for_seconds))
    return Response(row.view())


@routes.post(f"{_PATH}/cancel")
async def cancel(state: ReflexioState, context: RequestContext) -> Response:
    """Cancel a call. Cancelling twice succeeds."""
    row = _row(state, context)
    _check_status(row, "pending", "cancelled")
    row.status = "cancelled"
    return Response(row.view())


def _row(state: ReflexioState, context: RequestContext) -> PendingToolCall:
    row = state.tool_calls.get(context.path_parameters["pending_tool_call_id"])
    if row is None:
        raise RequestRejected(error_response(404, "Pending tool call not found"))
    return row


def _question_for_people(state: ReflexioState, context: RequestContext) -> PendingToolCall:
    row = _row(state, context)
    if row.tool_name != "ask_human":
        raise RequestRejected(
            error_response(409, "Only ask_human tool calls can be managed from this endpoint")
        )
    return row


def _check_status(row: PendingToolCall, *statuses: str) -> None:
    if row.status not in statuses:
        raise RequestRejected(error_response(409, f"Pending tool call is {row.status}"))


def _validity(state: ReflexioState, row: PendingToolCall, given: int | None) -> int:
    """For how many seconds an answer is valid."""
    config = state.configuration.current.pending_tool_call_config
    override = config.tool_overrides.get(row.tool_name)
    default = (override and override.prior_answer_valid_seconds) or config.prior_answer_valid_seconds
    seconds = given or default
    if state.clock.time() + seconds > _END_OF_CALENDAR:
        raise RequestRejected(error_response(503, "date value out of range"))
    return seconds


def _check_signature(state: ReflexioState, context: RequestContext) -> None:
    """Refuse a request without a valid signature, if the configuration has secrets."""
    secrets = state.configuration.current.pending_tool_call_config.hmac_secrets
    if not secrets:
        return
    timestamp = context.record.headers.get("x-reflexio-timestamp")
    signature = context.record.headers.get("x-reflexio-signature")
    if not timestamp or not signature:
        raise RequestRejected(error_response(401, "Missing HMAC signature"))
    if not timestamp.lstrip("-").isdecimal():
        raise RequestRejected(error_response(401, "Invalid HMAC timestamp"))
    if abs(state.clock.time() - int(timestamp)) > _SIGNATURE_TOLERANCE:
        raise RequestRejected(error_response(401, "Expired HMAC timestamp"))
    signed = timestamp.encode() + b"." + context.raw_body
    digests = (hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets)
    if not any(hmac.compare_digest(signature.removeprefix("sha256="), digest) for digest in digests):
        raise RequestRejected(error_response(401, "Invalid HMAC signature"))
