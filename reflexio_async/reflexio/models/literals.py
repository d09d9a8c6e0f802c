"""The enumerations as requests accept them: a member, or its text.

Pydantic turns the text into the member. Only type checkers must know that a text may be given, so at run time
``AnyStatus`` is ``Status``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from reflexio_async.reflexio.models.enums import (
    BlockingIssueKind,
    CitationKind,
    PendingToolCallStatus,
    PlaybookStatus,
    ProfileTimeToLive,
    RetrievedLearningKind,
    SearchMode,
    SessionOutcomeKind,
    Status,
    UserActionType,
)

StatusText: TypeAlias = Literal[
    "archived", "pending", "archive_in_progress", "merged", "superseded", "expired"
]
PlaybookStatusText: TypeAlias = Literal["pending", "approved", "rejected"]
SearchModeText: TypeAlias = Literal["vector", "fts", "hybrid"]
ProfileTimeToLiveText: TypeAlias = Literal[
    "one_day", "one_week", "one_month", "one_quarter", "one_year", "infinity"
]
UserActionTypeText: TypeAlias = Literal["click", "scroll", "type", "none"]
CitationKindText: TypeAlias = Literal["playbook", "profile", "user_playbook", "agent_playbook"]
RetrievedLearningKindText: TypeAlias = Literal["profile", "user_playbook", "agent_playbook"]
BlockingIssueKindText: TypeAlias = Literal[
    "missing_tool", "permission_denied", "external_dependency", "policy_restriction"
]
PendingToolCallStatusText: TypeAlias = Literal["pending", "resolved", "expired", "superseded", "cancelled"]
SessionOutcomeKindText: TypeAlias = Literal["success", "failure", "unknown"]

if TYPE_CHECKING:
    AnyStatus: TypeAlias = Status | StatusText
    AnyPlaybookStatus: TypeAlias = PlaybookStatus | PlaybookStatusText
    AnySearchMode: TypeAlias = SearchMode | SearchModeText
    AnyProfileTimeToLive: TypeAlias = ProfileTimeToLive | ProfileTimeToLiveText
    AnyUserActionType: TypeAlias = UserActionType | UserActionTypeText
    AnyCitationKind: TypeAlias = CitationKind | CitationKindText
    AnyRetrievedLearningKind: TypeAlias = RetrievedLearningKind | RetrievedLearningKindText
    AnyBlockingIssueKind: TypeAlias = BlockingIssueKind | BlockingIssueKindText
    AnyPendingToolCallStatus: TypeAlias = PendingToolCallStatus | PendingToolCallStatusText
    AnySessionOutcomeKind: TypeAlias = SessionOutcomeKind | SessionOutcomeKindText
else:
    AnyStatus = Status
    AnyPlaybookStatus = PlaybookStatus
    AnySearchMode = SearchMode
    AnyProfileTimeToLive = ProfileTimeToLive
    AnyUserActionType = UserActionType
    AnyCitationKind = CitationKind
    AnyRetrievedLearningKind = RetrievedLearningKind
    AnyBlockingIssueKind = BlockingIssueKind
    AnyPendingToolCallStatus = PendingToolCallStatus
    AnySessionOutcomeKind = SessionOutcomeKind
