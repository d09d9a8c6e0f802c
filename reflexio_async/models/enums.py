"""The closed word lists of the contract.

In answers they stand beside ``str`` (``Status | str``), so that a newer server's word is kept as text
instead of failing the call.
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The state of a profile or playbook. "Current" has no word: it is ``None``, JSON null."""

    ARCHIVED = "archived"
    PENDING = "pending"
    ARCHIVE_IN_PROGRESS = "archive_in_progress"
    MERGED = "merged"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


class OperationStatus(StrEnum):
    """The state of the latest generation of one service."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class LearningStatus(StrEnum):
    """How far learning from one published request has come."""

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
    """What kind of learning a citation points to."""

    PLAYBOOK = "playbook"
    PROFILE = "profile"
    USER_PLAYBOOK = "user_playbook"
    AGENT_PLAYBOOK = "agent_playbook"


class RetrievedLearningKind(StrEnum):
    """What kind of learning was retrieved for a turn."""

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
