"""Pending tool calls: questions that the agent has asked and that wait for an answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, cast

from pydantic import Field, model_validator

from reflexio_async._engine.models import (
    EMPTY_DICT,
    EMPTY_LIST,
    AtLeastOne,
    Header,
    JsonObject,
    NotBlank,
    Query,
    RequestModel,
    ResponseModel,
)
from reflexio_async.reflexio.models.enums import PendingToolCallStatus
from reflexio_async.reflexio.models.literals import AnyPendingToolCallStatus


class PendingToolCallResponse(ResponseModel):
    """One question of the agent, with its answer if it has one."""

    id: str
    org_id: str
    scope: dict[str, Any]
    scope_hash: str
    tool_name: str
    dedup_key: str
    status: PendingToolCallStatus | str = Field(union_mode="left_to_right")
    question_text: str
    answer_format: str | None = None
    args: dict[str, Any] = EMPTY_DICT
    cache_until: datetime | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    resolved_at: datetime | None = None
    result: dict[str, Any] | None = None
    superseded_by: str | None = None
    tags: list[str] = EMPTY_LIST
    user_id: str | None = None
    valid_until: datetime | None = None


class PendingToolCallListResponse(ResponseModel):
    """Questions found."""

    pending_tool_calls: list[PendingToolCallResponse]


class PendingToolCalls(RequestModel, title="list_pending_tool_calls"):
    """Which questions are wanted."""

    status: Annotated[AnyPendingToolCallStatus | None, Query()] = None
    limit: Annotated[int, Field(ge=1, le=500), Query()] = 100


class ByPendingToolCall(RequestModel, title="get_pending_tool_call"):
    """Names one question."""

    pending_tool_call_id: NotBlank


class CancelPendingToolCallRequest(ByPendingToolCall, title="cancel_pending_tool_call"):
    """Names the question to withdraw."""


class SignedAnswer(ByPendingToolCall):
    """What the answers below share. Servers with ``hmac_secrets`` require both headers."""

    valid_for_seconds: AtLeastOne | None = Field(
        default=None, description="None: as the server is configured."
    )
    signature: Annotated[str | None, Header("x-reflexio-signature")] = Field(default=None, repr=False)
    timestamp: Annotated[str | None, Header("x-reflexio-timestamp")] = None


class ResolvePendingToolCallRequest(SignedAnswer, title="resolve_pending_tool_call"):
    """The answer: a ``result``, or an ``answer`` in words, which is sent as ``{"answer": …}``."""

    result: JsonObject

    @model_validator(mode="before")
    @classmethod
    def _answer_is_a_result(cls, fields: Any) -> Any:
        if not isinstance(fields, Mapping):
            return fields
        rest = dict(cast("Mapping[str, Any]", fields))
        if "answer" not in rest:
            return rest
        answer = rest.pop("answer")
        if rest.get("result") is not None:
            message = "give either result or answer, not both"
            raise ValueError(message)
        return {**rest, "result": {"answer": answer}}


class UpdatePendingToolCallAnswerRequest(SignedAnswer, title="update_pending_tool_call_answer"):
    """A new answer to a question that has one."""

    answer: Annotated[str, Field(min_length=1)]


class MarkPendingToolCallNotApplicableRequest(SignedAnswer, title="mark_pending_tool_call_not_applicable"):
    """Says that a question does not apply."""
