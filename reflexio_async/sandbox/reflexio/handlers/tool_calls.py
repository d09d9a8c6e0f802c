"""Answering what extraction asked."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from reflexio_async.sandbox.http.responses import Refused, Reply, problem
from reflexio_async.sandbox.reflexio.store.pending_tool_calls import NOT_APPLICABLE

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.schemas.common import Nothing
    from reflexio_async.sandbox.reflexio.schemas.tool_calls import (
        ListCalls,
        NotApplicable,
        Resolve,
        UpdateAnswer,
    )
    from reflexio_async.sandbox.reflexio.state import World
    from reflexio_async.sandbox.reflexio.store.pending_tool_calls import PendingToolCall

_TOLERANCE: Final = 300
"""Seconds by which a signature may be old."""

_END_OF_CALENDAR: Final = 253_402_300_799
"""The last second of the year 9999; the server, too, fails to store a later one."""

_OTHER_RESULT = "Pending tool call already resolved with a different result"


async def listed(world: World, _call: Call, query: ListCalls) -> Reply:
    """Newest first."""
    status = query.status and query.status.value
    views = [row.view() for row in world.tool_calls.latest() if status in (None, row.status)]
    return Reply({"pending_tool_calls": views[: query.limit]})


async def get(world: World, call: Call, _body: Nothing) -> Reply:
    """One of them."""
    return Reply(_row(world, call).view())


async def resolve(world: World, call: Call, body: Resolve) -> Reply:
    """The first answer counts; the same again is welcome."""
    _signed(world, call)
    row = _row(world, call)
    if row.status == "resolved":
        return Reply(row.view()) if row.result == body.result else problem(409, _OTHER_RESULT)
    _is(row, "pending")
    row.resolve(body.result, world.clock.time(), _validity(world, row, body.valid_for_seconds))
    return Reply(row.view())


async def update_answer(world: World, call: Call, body: UpdateAnswer) -> Reply:
    """Another answer to a question that a person was asked."""
    _signed(world, call)
    row = _asked_of_people(_row(world, call))
    _is(row, "resolved")
    if not (answer := body.answer.strip()):
        return problem(422, "Answer cannot be empty")
    row.resolve({"answer": answer}, world.clock.time(), _validity(world, row, body.valid_for_seconds))
    return Reply(row.view())


async def not_applicable(world: World, call: Call, body: NotApplicable) -> Reply:
    """There is no answer, whatever was answered before."""
    _signed(world, call)
    row = _asked_of_people(_row(world, call))
    _is(row, "pending", "resolved")
    row.resolve(dict(NOT_APPLICABLE), world.clock.time(), _validity(world, row, body.valid_for_seconds))
    return Reply(row.view())


async def cancel(world: World, call: Call, _body: Nothing) -> Reply:
    """Nobody needs the answer any more; cancelling twice is welcome."""
    row = _row(world, call)
    _is(row, "pending", "cancelled")
    row.status = "cancelled"
    return Reply(row.view())


def _row(world: World, call: Call) -> PendingToolCall:
    row = world.tool_calls.get(call.names["pending_tool_call_id"])
    if row is None:
        raise Refused(problem(404, "Pending tool call not found"))
    return row


def _asked_of_people(row: PendingToolCall) -> PendingToolCall:
    if row.tool_name != "ask_human":
        raise Refused(problem(409, "Only ask_human tool calls can be managed from this endpoint"))
    return row


def _is(row: PendingToolCall, *statuses: str) -> None:
    if row.status not in statuses:
        raise Refused(problem(409, f"Pending tool call is {row.status}"))


def _validity(world: World, row: PendingToolCall, given: int | None) -> int:
    config = world.configuration.current.pending_tool_call_config
    override = config.tool_overrides.get(row.tool_name)
    usual = (override and override.prior_answer_valid_seconds) or config.prior_answer_valid_seconds
    seconds = given or usual
    if world.clock.time() + seconds > _END_OF_CALENDAR:
        raise Refused(problem(503, "date value out of range"))
    return seconds


def _signed(world: World, call: Call) -> None:
    secrets = world.configuration.current.pending_tool_call_config.hmac_secrets
    if not secrets:
        return
    timestamp = call.record.headers.get("x-reflexio-timestamp")
    signature = call.record.headers.get("x-reflexio-signature")
    if not timestamp or not signature:
        raise Refused(problem(401, "Missing HMAC signature"))
    if not timestamp.lstrip("-").isdecimal():
        raise Refused(problem(401, "Invalid HMAC timestamp"))
    if abs(world.clock.time() - int(timestamp)) > _TOLERANCE:
        raise Refused(problem(401, "Expired HMAC timestamp"))
    signed = timestamp.encode() + b"." + call.raw_body
    digests = (hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets)
    if not any(hmac.compare_digest(signature.removeprefix("sha256="), digest) for digest in digests):
        raise Refused(problem(401, "Invalid HMAC signature"))
