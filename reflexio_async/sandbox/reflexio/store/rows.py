"""The rows that the Reflexio service stores, and how the server returns each.

Fields have the server's names, so a view is a row without some fields, and without nulls (server-behaviour:
Null and absent keys).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from reflexio_async.sandbox.reflexio.schemas.common import StatusSchema
from reflexio_async.sandbox.reflexio.schemas.config import LearningKind
from reflexio_async.sandbox.reflexio.schemas.interactions import InteractionDataSchema
from reflexio_async.sandbox.reflexio.schemas.profiles import NEVER_EXPIRES
from reflexio_async.sandbox.storage.tables import Row

Status = str | None
"""The state of a row. None is current. The sandbox itself sets pending, archived and superseded."""

TOMBSTONES = frozenset({"superseded", "merged"})
"""States of rows that others have replaced. They are returned only on request."""

_NEVER_SHOWN = ("do_action", "do_not_action", "indexed")
"""Fields of playbooks that today's routes do not return."""

_INTERACTION_FIELDS: dict[str, Any] = {
    "role": True,
    "content": True,
    "shadow_content": True,
    "expert_content": True,
    "user_action": True,
    "user_action_description": True,
    "interacted_image_url": True,
    "tools_used": {"__all__": {"tool_name", "tool_data", "status"}},
    "retrieved_learnings": {"__all__": {"kind", "learning_id", "exposure_receipt_digest"}},
}


@dataclass(slots=True)
class StoredInteraction:
    """One interaction."""

    interaction_id: int
    user_id: str
    request_id: str
    created_at: int
    given: InteractionDataSchema

    @property
    def content(self) -> str:
        """The text."""
        return self.given.content

    def view(self) -> dict[str, Any]:
        """As the server returns it."""
        return {
            "interaction_id": self.interaction_id,
            "user_id": self.user_id,
            "request_id": self.request_id,
            "created_at": self.created_at,
            **self.given.model_dump(mode="json", include=_INTERACTION_FIELDS, exclude_none=True),
        }


@dataclass(slots=True)
class StoredRequest(Row):
    """One publish.

    Attributes:
        tracked: Whether learning looks at it. Seeded requests are not tracked.
        windows: By kind of learning, the size and the stride of windows when the request arrived.
        forced: Whether the publish asked for learning at once.
        finished: Whether its session is over, as reported then or later.
        learnt: By kind of learning, how many windows covered interactions of it.
    """

    request_id: str
    user_id: str
    session_id: str
    created_at: int
    source: str
    agent_version: str
    evaluation_only: bool
    retrieval_experiment_id: str | None = None
    retrieval_experiment_arm: str | None = None
    interactions: list[StoredInteraction] = field(default_factory=list[StoredInteraction])
    tracked: bool = False
    windows: dict[LearningKind, tuple[int, int]] = field(default_factory=dict[LearningKind, tuple[int, int]])
    forced: bool = False
    finished: bool = False
    learnt: dict[LearningKind, int] = field(default_factory=dict[LearningKind, int])

    @property
    def end(self) -> int:
        """The id of its last interaction. There must be one."""
        return self.interactions[-1].interaction_id

    def view(self) -> dict[str, Any]:
        """As the server returns it, with its interactions."""
        hidden = ("interactions", "tracked", "windows", "forced", "finished", "learnt")
        shown = without_nulls(self.fields_except(*hidden))
        return {"request": shown, "interactions": [each.view() for each in self.interactions]}


@dataclass(slots=True, kw_only=True)
class StoredProfile(Row):
    """One fact about a user."""

    profile_id: str
    user_id: str
    content: str
    created_at: int
    last_modified_timestamp: int
    generated_from_request_id: str
    status: Status = None
    source_interaction_ids: list[int] = field(default_factory=list[int])
    profile_time_to_live: str = "infinity"
    expiration_timestamp: int = NEVER_EXPIRES
    source: str = ""
    custom_features: dict[str, Any] | None = None
    extractor_names: list[str] | None = None
    source_span: str | None = None
    tags: list[str] = field(default_factory=list[str])

    def with_nulls(self) -> dict[str, Any]:
        """As the change log returns it."""
        return self.fields_except("created_at")

    def view(self) -> dict[str, Any]:
        """As the server returns it."""
        return without_nulls(self.with_nulls())

    @property
    def search_text(self) -> str:
        """What searches look at."""
        return " ".join([self.content, *map(str, (self.custom_features or {}).values())])


@dataclass(slots=True, kw_only=True)
class StoredUserPlaybook(Row):
    """One lesson from a user's interactions.

    Attributes:
        do_action: What to do. Only January's routes return it.
        do_not_action: What not to do. Only January's routes return it.
        indexed: What searches look at: the trigger and the content, when it was written. Later changes do
            not change it.
    """

    user_playbook_id: int = 0
    user_id: str | None
    agent_version: str
    request_id: str
    created_at: int
    trigger: str | None = None
    source_span: str | None = None
    status: Status = None
    source_interaction_ids: list[int] = field(default_factory=list[int])
    content: str = ""
    playbook_name: str = "playbook"
    rationale: str | None = None
    source: str | None = None
    tags: list[str] = field(default_factory=list[str])
    do_action: str | None = None
    do_not_action: str | None = None
    indexed: str = ""

    def __post_init__(self) -> None:
        self.indexed = self.indexed or f"{self.trigger or ''} {self.content}"

    def view(self) -> dict[str, Any]:
        """As the server returns it."""
        return without_nulls(self.fields_except(*_NEVER_SHOWN))

    @property
    def search_text(self) -> str:
        """What searches look at."""
        return self.indexed


@dataclass(slots=True, kw_only=True)
class StoredAgentPlaybook(Row):
    """One lesson for an agent, aggregated from users' or written by a caller.

    Attributes:
        sources: The ids of the user playbooks it comes from.
        do_action: What to do. Only January's routes return it.
        do_not_action: What not to do. Only January's routes return it.
        indexed: What searches look at: the trigger and the content, when it was written. Later changes do
            not change it.
    """

    agent_playbook_id: int = 0
    agent_version: str
    created_at: int
    content: str
    playbook_name: str = ""
    trigger: str | None = None
    rationale: str | None = None
    blocking_issue: dict[str, Any] | None = None
    playbook_status: str = "pending"
    playbook_metadata: str = ""
    status: Status = None
    sources: list[int] = field(default_factory=list[int])
    do_action: str | None = None
    do_not_action: str | None = None
    indexed: str = ""

    def __post_init__(self) -> None:
        self.indexed = self.indexed or f"{self.trigger or ''} {self.content}"

    def view(self) -> dict[str, Any]:
        """As the server returns it. Tags are not stored."""
        shown = self.fields_except("blocking_issue", "sources", *_NEVER_SHOWN)
        return without_nulls({**shown, "tags": list[str]()})

    def snapshot(self) -> dict[str, Any]:
        """As the change log returns it, with nulls."""
        return self.fields_except("created_at", "status", "sources", *_NEVER_SHOWN)

    @property
    def search_text(self) -> str:
        """What searches look at."""
        return self.indexed


def without_nulls(shown: dict[str, Any]) -> dict[str, Any]:
    """The items whose value is not None."""
    return {name: value for name, value in shown.items() if value is not None}


def status_matches(status: Status, wanted: Iterable[StatusSchema | None] | None) -> bool:
    """Whether a status filter matches. An empty filter matches every status."""
    statuses = [None if each is None else each.value for each in wanted or ()]
    return not statuses or status in statuses


def matches_or_default(
    status: Status, wanted: Iterable[StatusSchema | None] | None, *, default: bool
) -> bool:
    """Whether a status filter matches; ``default`` when there is no filter."""
    return default if wanted is None else status_matches(status, wanted)


def tags_match(tags: list[str], wanted: list[str] | None) -> bool:
    """Whether a tag filter matches. An empty filter matches all tags."""
    return not wanted or bool(set(tags) & set(wanted))
