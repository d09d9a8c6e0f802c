"""Pending tool calls: questions the agent asked that wait for an answer."""

from __future__ import annotations

from reflexio_async._engine.routing.route import Route
from reflexio_async.reflexio.models.pending_tool_calls import (
    ByPendingToolCall,
    MarkPendingToolCallNotApplicableRequest,
    PendingToolCallListResponse,
    PendingToolCallResponse,
    PendingToolCalls,
    ResolvePendingToolCallRequest,
    UpdatePendingToolCallAnswerRequest,
    by_pending_tool_call,
    not_applicable,
    pending_tool_calls,
    resolve,
    update_answer,
)


class PendingToolCallsAPI:
    """Questions of the agent. Answering takes the signature headers of servers that ask for them."""

    list_pending_tool_calls = Route(
        "GET",
        "/api/pending_tool_calls",
        pending_tool_calls,
        PendingToolCallListResponse,
        model=PendingToolCalls,
    )
    """Questions, of one status or all."""

    get_pending_tool_call = Route(
        "GET",
        "/api/pending_tool_calls/{pending_tool_call_id}",
        by_pending_tool_call,
        PendingToolCallResponse,
        model=ByPendingToolCall,
    )
    """One question and, once it has one, its answer."""

    resolve_pending_tool_call = Route(
        "POST",
        "/api/pending_tool_calls/{pending_tool_call_id}/resolve",
        resolve,
        PendingToolCallResponse,
        model=ResolvePendingToolCallRequest,
    )
    """Answer a question, with a ``result`` or an ``answer`` in words; Conflict when it no longer waits."""

    update_pending_tool_call_answer = Route(
        "PATCH",
        "/api/pending_tool_calls/{pending_tool_call_id}/answer",
        update_answer,
        PendingToolCallResponse,
        model=UpdatePendingToolCallAnswerRequest,
        repeatable=True,
    )
    """Answer again a question that was answered; Conflict when it was not."""

    mark_pending_tool_call_not_applicable = Route(
        "POST",
        "/api/pending_tool_calls/{pending_tool_call_id}/not_applicable",
        not_applicable,
        PendingToolCallResponse,
        model=MarkPendingToolCallNotApplicableRequest,
    )
    """Say that a question has no answer."""

    cancel_pending_tool_call = Route(
        "POST",
        "/api/pending_tool_calls/{pending_tool_call_id}/cancel",
        by_pending_tool_call,
        PendingToolCallResponse,
        model=ByPendingToolCall,
    )
    """Withdraw a question that nobody has answered."""
