"""Traces and their reviews, and what the service derives from a trace."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeGuard

from reflexio_async.sandbox.reflect.memories import Lesson
from reflexio_async.sandbox.reflect.schemas import InlineReviewSchema, ReviewCreateSchema, TraceCreateSchema
from reflexio_async.sandbox.storage.tables import Row

_QUOTED = 200
"""How many characters of an answer a generated lesson quotes."""


@dataclass(frozen=True, slots=True)
class StoredReview:
    """A review that was applied."""

    id: str
    trace_id: str
    result: Literal["pass", "fail"]
    feedback_text: str | None
    mode: Literal["inline", "deferred"]

    def view(self) -> dict[str, Any]:
        """As the server returns it."""
        return asdict(self)


@dataclass(slots=True)
class StoredTrace(Row):
    """One run of an agent.

    Attributes:
        submitted: The inline review, applied or not.
        review: The applied review.
    """

    id: str
    task: str
    trajectory: Sequence[Mapping[str, Any]]
    final_response: str
    retrieved_memory_ids: Sequence[str]
    model: str | None
    metadata: Mapping[str, Any]
    reference_context: str | None
    submitted: InlineReviewSchema | None
    ingest_status: Literal["queued", "processing", "completed", "failed"] = "queued"
    ingest_attempts: int = 0
    last_ingest_error: str | None = None
    created_memory_id: str | None = None
    review: StoredReview | None = field(default=None)

    @classmethod
    def of(cls, body: TraceCreateSchema) -> StoredTrace:
        """A new trace from its submission."""
        trajectory = [message.model_dump(exclude_unset=True) for message in body.trajectory]
        return cls(
            id=str(uuid.uuid4()),
            task=body.task,
            trajectory=trajectory,
            final_response=_last_answer(trajectory) if body.final_response is None else body.final_response,
            retrieved_memory_ids=body.retrieved_memory_ids,
            model=body.model,
            metadata=body.metadata,
            reference_context=body.reference_context,
            submitted=body.review,
        )

    @property
    def review_status(self) -> Literal["pending", "reviewed"]:
        """Whether a review was applied."""
        return "pending" if self.review is None else "reviewed"

    @property
    def tools_used(self) -> Sequence[str]:
        """The names of the tools that were called, in order of first use.

        A call is an object with a ``function`` that has a ``name``, as OpenAI writes it, or has one itself.
        """
        names = [
            function.get("name")
            for message in self.trajectory
            if _is_list(calls := message.get("tool_calls"))
            for call in calls
            if _is_object(call) and _is_object(function := call.get("function", call))
        ]
        return list(dict.fromkeys(name for name in names if isinstance(name, str)))

    def lesson(self, review: ReviewCreateSchema) -> Lesson:
        """The lesson that the service would let a language model write."""
        answer, tools = self.final_response[:_QUOTED], self.tools_used
        if review.result == "pass":
            summary, worked = f"Solved: {self.task}", answer or "what was done here"
            guidance = f"Follow what worked: {worked}"
            if review.feedback_text:
                guidance = f"{guidance} ({review.feedback_text})"
            return Lesson(summary, guidance, correct_action=worked, applicable_tools=tools)
        mistake = review.feedback_text or f"The answer was judged wrong: {answer}"
        return Lesson(
            f"Failed: {self.task}",
            f"Check this before answering: {mistake}",
            key_mistake=mistake,
            correct_action=f"Answer differently from: {answer}",
            applicable_tools=tools,
        )

    def view(self) -> dict[str, Any]:
        """As the server returns it."""
        shown = self.fields_except("reference_context", "submitted")
        review = None if self.review is None else self.review.view()
        return {**shown, "review_status": self.review_status, "review": review}


def _last_answer(trajectory: Sequence[Mapping[str, Any]]) -> str:
    answers = (message.get("content") for message in reversed(trajectory) if message["role"] == "assistant")
    return next((answer for answer in answers if answer), "")


def _is_list(given: Any) -> TypeGuard[list[Any]]:
    """Whether a JSON value is a list."""
    return isinstance(given, list)


def _is_object(given: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(given, dict)
