"""Pending tool calls: questions that the agent has asked and that wait for an answer."""

from collections.abc import Mapping
from typing import Any

from reflexio_async._engine.engine import API
from reflexio_async._engine.models import drop_none
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.models.literals import AnyPendingToolCallStatus
from reflexio_async.reflexio.models.pending_tool_calls import (
    ByPendingToolCall,
    CancelPendingToolCallRequest,
    MarkPendingToolCallNotApplicableRequest,
    PendingToolCallListResponse,
    PendingToolCallResponse,
    PendingToolCalls,
    ResolvePendingToolCallRequest,
    UpdatePendingToolCallAnswerRequest,
)

LIST_PENDING_TOOL_CALLS = Endpoint("GET", "/api/pending_tool_calls", PendingToolCallListResponse)
GET_PENDING_TOOL_CALL = Endpoint(
    "GET", "/api/pending_tool_calls/{pending_tool_call_id}", PendingToolCallResponse
)
RESOLVE_PENDING_TOOL_CALL = Endpoint(
    "POST", "/api/pending_tool_calls/{pending_tool_call_id}/resolve", PendingToolCallResponse
)
UPDATE_PENDING_TOOL_CALL_ANSWER = Endpoint(
    "PATCH", "/api/pending_tool_calls/{pending_tool_call_id}/answer", PendingToolCallResponse, repeatable=True
)
MARK_PENDING_TOOL_CALL_NOT_APPLICABLE = Endpoint(
    "POST", "/api/pending_tool_calls/{pending_tool_call_id}/not_applicable", PendingToolCallResponse
)
CANCEL_PENDING_TOOL_CALL = Endpoint(
    "POST", "/api/pending_tool_calls/{pending_tool_call_id}/cancel", PendingToolCallResponse
)


class PendingToolCallsAPI(API):
    """Calls about the questions of the agent.

    A server whose configuration has ``hmac_secrets`` requires ``signature`` and ``timestamp`` with an answer.
    """

    async def list_pending_tool_calls(
        self, status: AnyPendingToolCallStatus | None = None, limit: int = 100
    ) -> PendingToolCallListResponse:
        """The questions of the organisation.

        Args:
            status: Only questions of this status; None: of every status.
            limit: The most questions to return, 1 to 500.
        """
        request = PendingToolCalls(**drop_none({"status": status, "limit": limit}))
        return await self._send(LIST_PENDING_TOOL_CALLS, request)

    async def get_pending_tool_call(self, pending_tool_call_id: str) -> PendingToolCallResponse:
        """One question, with its answer if it has one."""
        request = ByPendingToolCall(pending_tool_call_id=pending_tool_call_id)
        return await self._send(GET_PENDING_TOOL_CALL, request)

    async def resolve_pending_tool_call(
        self,
        pending_tool_call_id: str,
        *,
        result: Mapping[str, Any] | None = None,
        answer: str | None = None,
        valid_for_seconds: int | None = None,
        signature: str | None = None,
        timestamp: str | None = None,
    ) -> PendingToolCallResponse:
        """Answer a question, with either ``result`` or ``answer``.

        Args:
            pending_tool_call_id: The question.
            result: The answer as data.
            answer: The answer in words; sent as the result ``{"answer": …}``.
            valid_for_seconds: How long the answer may be used again; None: as the server is configured.
            signature: The signature of the answer, sent as the header ``x-reflexio-signature``.
            timestamp: The time of the signature, sent as the header ``x-reflexio-timestamp``.

        Raises:
            Conflict: The question no longer waits for an answer.
        """
        fields = {
            "pending_tool_call_id": pending_tool_call_id,
            "result": result,
            "answer": answer,
            "valid_for_seconds": valid_for_seconds,
            "signature": signature,
            "timestamp": timestamp,
        }
        request = ResolvePendingToolCallRequest(**drop_none(fields))
        return await self._send(RESOLVE_PENDING_TOOL_CALL, request)

    async def update_pending_tool_call_answer(
        self,
        pending_tool_call_id: str,
        answer: str,
        *,
        valid_for_seconds: int | None = None,
        signature: str | None = None,
        timestamp: str | None = None,
    ) -> PendingToolCallResponse:
        """Replace the answer of a question. The arguments are those of ``resolve_pending_tool_call``.

        Raises:
            Conflict: The question has no answer yet.
        """
        fields = {
            "pending_tool_call_id": pending_tool_call_id,
            "answer": answer,
            "valid_for_seconds": valid_for_seconds,
            "signature": signature,
            "timestamp": timestamp,
        }
        request = UpdatePendingToolCallAnswerRequest(**drop_none(fields))
        return await self._send(UPDATE_PENDING_TOOL_CALL_ANSWER, request)

    async def mark_pending_tool_call_not_applicable(
        self,
        pending_tool_call_id: str,
        *,
        valid_for_seconds: int | None = None,
        signature: str | None = None,
        timestamp: str | None = None,
    ) -> PendingToolCallResponse:
        """Say that a question does not apply. The arguments are those of ``resolve_pending_tool_call``."""
        fields = {
            "pending_tool_call_id": pending_tool_call_id,
            "valid_for_seconds": valid_for_seconds,
            "signature": signature,
            "timestamp": timestamp,
        }
        request = MarkPendingToolCallNotApplicableRequest(**drop_none(fields))
        return await self._send(MARK_PENDING_TOOL_CALL_NOT_APPLICABLE, request)

    async def cancel_pending_tool_call(self, pending_tool_call_id: str) -> PendingToolCallResponse:
        """Withdraw a question that has no answer yet."""
        request = CancelPendingToolCallRequest(pending_tool_call_id=pending_tool_call_id)
        return await self._send(CANCEL_PENDING_TOOL_CALL, request)
