"""The enumerations of the API.

Fields of responses have types such as ``Status | str``: a value that this release does not know is a text,
and does not fail the call.
"""

from __future__ import annotations

from enum import StrEnum, nonmember
from typing import TYPE_CHECKING, Any

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


class Status(StrEnum):
    """The state of a profile or playbook. The current state is None, JSON null; ``CURRENT`` is that None."""

    # No member: a server accepts the official client's text "None", and finds nothing by it
    # (server-behaviour: Status filters).
    CURRENT = nonmember(None)
    ARCHIVED = "archived"
    PENDING = "pending"
    ARCHIVE_IN_PROGRESS = "archive_in_progress"
    MERGED = "merged"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        # Who passes "current", or the official client's "None", reads here what to pass.
        texts = ", ".join(repr(member.value) for member in cls)
        message = f"must be one of {texts}, or None, which is the current state (Status.CURRENT)"
        return core_schema.custom_error_schema(
            handler(source), custom_error_type="status", custom_error_message=message
        )


class OperationStatus(StrEnum):
    """The state of the latest generation of one service."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class LearningStatus(StrEnum):
    """The state of learning from one published request."""

    PENDING = "pending"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"
    NOT_TRACKED = "not_tracked"


class UserActionType(StrEnum):
    """What the user did besides talking."""

    CLICK = "click"
    SCROLL = "scroll"
    TYPE = "type"
    NONE = "none"


class CitationKind(StrEnum):
    """The kind of learning that a citation names."""

    PLAYBOOK = "playbook"
    PROFILE = "profile"
    USER_PLAYBOOK = "user_playbook"
    AGENT_PLAYBOOK = "agent_playbook"


class RetrievedLearningKind(StrEnum):
    """The kind of learning that was retrieved for a turn."""

    PROFILE = "profile"
    USER_PLAYBOOK = "user_playbook"
    AGENT_PLAYBOOK = "agent_playbook"


class ProfileTimeToLive(StrEnum):
    """How long a profile is kept."""

    ONE_DAY = "one_day"
    ONE_WEEK = "one_week"
    ONE_MONTH = "one_month"
    ONE_QUARTER = "one_quarter"
    ONE_YEAR = "one_year"
    INFINITY = "infinity"


class BlockingIssueKind(StrEnum):
    """The reason why the agent cannot follow a lesson."""

    MISSING_TOOL = "missing_tool"
    PERMISSION_DENIED = "permission_denied"
    EXTERNAL_DEPENDENCY = "external_dependency"
    POLICY_RESTRICTION = "policy_restriction"


class PlaybookStatus(StrEnum):
    """Whether a lesson for the agent was approved."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class SearchMode(StrEnum):
    """How a search finds matches."""

    VECTOR = "vector"
    FTS = "fts"
    HYBRID = "hybrid"


class SessionOutcomeKind(StrEnum):
    """How a session ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class SessionOutcomeFailureReason(StrEnum):
    """Why an outcome was not recorded."""

    CONFLICTING_FINALIZATION = "conflicting_finalization"
    UNKNOWN_SESSION = "unknown_session"
    OCCURRED_BEFORE_SESSION = "occurred_before_session"
    OCCURRED_IN_FUTURE = "occurred_in_future"
    AFTER_OUTCOME_WINDOW = "after_outcome_window"
    SUBJECT_NOT_WRITABLE = "subject_not_writable"
    STORAGE_ERROR = "storage_error"


class RegularVsShadow(StrEnum):
    """Which of two answers was better."""

    REGULAR_IS_BETTER = "regular_is_better"
    REGULAR_IS_SLIGHTLY_BETTER = "regular_is_slightly_better"
    SHADOW_IS_BETTER = "shadow_is_better"
    SHADOW_IS_SLIGHTLY_BETTER = "shadow_is_slightly_better"
    TIED = "tied"


class LearningImpact(StrEnum):
    """The effect of a retrieved learning on a session."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


class PendingToolCallStatus(StrEnum):
    """The state of a question that waits for an answer."""

    PENDING = "pending"
    RESOLVED = "resolved"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class AggregationStatus(StrEnum):
    """The state of an aggregation operation."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RegenerationStatus(StrEnum):
    """The state of a regeneration of evaluations."""

    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ERROR = "error"


class ExtractionPreset(StrEnum):
    """A named set of extraction settings."""

    QUICK_CHAT = "quick_chat"
    STANDARD = "standard"
    LONG_FORM = "long_form"
    HIGH_VOLUME = "high_volume"
