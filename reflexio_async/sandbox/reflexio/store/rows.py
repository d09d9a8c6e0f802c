"""The rows the sandbox keeps, and how the server shows each: what is None is absent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox.reflexio.schemas.publishing import Interaction
from reflexio_async.sandbox.reflexio.schemas.rows import NEVER
from reflexio_async.sandbox.storage.tables import Row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reflexio_async.sandbox.reflexio.kinds import Kind
    from reflexio_async.sandbox.reflexio.schemas.common import StatusWord

Status = str | None
"""None is current; the sandbox itself gives pending, archived and superseded."""

TOMBSTONES = frozenset({"superseded", "merged"})
"""States of rows that others took the place of; shown only to those who ask for them."""

_SHOWN_OF_A_TURN = {
    "role",
    "content",
    "shadow_content",
    "expert_content",
    "user_action",
    "user_action_description",
    "interacted_image_url",
    "tools_used",
    "retrieved_learnings",
}


@dataclass(slots=True)
class Turn:
    """One stored interaction."""

    interaction_id: int
    user_id: str
    request_id: str
    created_at: int
    given: Interaction

    @property
    def content(self) -> str:
        """What was said."""
        return self.given.content

    def view(self) -> dict[str, Any]:
        """As the server shows it."""
        return {
            "interaction_id": self.interaction_id,
            "user_id": self.user_id,
            "request_id": self.request_id,
            "created_at": self.created_at,
            **self.given.model_dump(mode="json", include=_SHOWN_OF_A_TURN),
        }


@dataclass(slots=True)
class StoredRequest(Row):
    """One publish that was stored."""

    request_id: str
    user_id: str
    session_id: str
    created_at: int
    source: str
    agent_version: str
    evaluation_only: bool
    retrieval_experiment_id: str | None = None
    retrieval_experiment_arm: str | None = None
    turns: list[Turn] = field(default_factory=list[Turn])
    tracked: bool = False
    """Whether it was learning's to look at; seeded ones never were."""
    windows: dict[Kind, tuple[int, int]] = field(default_factory=dict["Kind", tuple[int, int]])
    """How many turns a window has, and how many new ones, by what is learnt from it; set when it came."""
    forced: bool = False
    finished: bool = False
    """Whether it was said, then or later, that its session is over."""
    learnt: dict[Kind, int] = field(default_factory=dict["Kind", int])
    """How many windows have covered turns of it."""

    @property
    def end(self) -> int:
        """The id of its last turn; there must be one."""
        return self.turns[-1].interaction_id

    def document(self) -> dict[str, Any]:
        """The turns as they were given, under their ids."""
        turns = [
            [turn.interaction_id, turn.created_at, turn.given.model_dump(mode="json", exclude_unset=True)]
            for turn in self.turns
        ]
        # Not `super()`: a dataclass with slots is another class than the one it is written in.
        return {**Row.document(self), "turns": turns}

    @classmethod
    def restored(cls, document: dict[str, Any]) -> StoredRequest:
        """With its turns."""
        user_id, request_id = document["user_id"], document["request_id"]
        turns = [
            Turn(interaction_id, user_id, request_id, created_at, Interaction.model_validate(given))
            for interaction_id, created_at, given in document["turns"]
        ]
        windows = {kind: tuple(window) for kind, window in document["windows"].items()}
        whole: dict[str, Any] = {**document, "turns": turns, "windows": windows}
        return cls(**whole)

    def view(self) -> dict[str, Any]:
        """As the server shows it, with its turns."""
        names = (
            "request_id",
            "user_id",
            "created_at",
            "source",
            "agent_version",
            "session_id",
            "evaluation_only",
            "retrieval_experiment_id",
            "retrieval_experiment_arm",
        )
        shown = {name: value for name in names if (value := getattr(self, name)) is not None}
        return {"request": shown, "interactions": [turn.view() for turn in self.turns]}


@dataclass(slots=True)
class Profile(Row):
    """One fact about a user."""

    profile_id: str
    user_id: str
    content: str
    created_at: int
    last_modified: int
    request_id: str
    status: Status
    interaction_ids: list[int]
    time_to_live: str = "infinity"
    expires_at: int = NEVER
    source: str = ""
    custom_features: dict[str, Any] | None = None
    extractor_names: list[str] | None = None
    source_span: str | None = None
    tags: list[str] = field(default_factory=list[str])

    def whole(self) -> dict[str, Any]:
        """With its nulls, as the change log shows it."""
        return {
            "profile_id": self.profile_id,
            "user_id": self.user_id,
            "content": self.content,
            "last_modified_timestamp": self.last_modified,
            "generated_from_request_id": self.request_id,
            "profile_time_to_live": self.time_to_live,
            "expiration_timestamp": self.expires_at,
            "custom_features": self.custom_features,
            "source": self.source,
            "status": self.status,
            "extractor_names": self.extractor_names,
            "source_span": self.source_span,
            "source_interaction_ids": self.interaction_ids,
            "tags": self.tags,
        }

    def view(self) -> dict[str, Any]:
        """As the server shows it: a current row has no ``status`` key."""
        return present(self.whole())


@dataclass(slots=True)
class Playbook(Row):
    """One lesson drawn from a user's interactions."""

    user_playbook_id: int
    user_id: str | None
    agent_version: str
    request_id: str
    created_at: int
    trigger: str | None
    source_span: str | None
    status: Status
    interaction_ids: list[int]
    content: str = ""
    name: str = "playbook"
    rationale: str | None = None
    source: str | None = None
    tags: list[str] = field(default_factory=list[str])
    do_action: str | None = None
    """What to do and what not is January's; today's routes do not show it."""
    do_not_action: str | None = None
    indexed: str = ""
    """What searches look at: written once, whatever is changed later."""

    def view(self) -> dict[str, Any]:
        """As the server shows it: a current row has no ``status`` key."""
        return present(
            {
                "user_playbook_id": self.user_playbook_id,
                "user_id": self.user_id,
                "agent_version": self.agent_version,
                "request_id": self.request_id,
                "playbook_name": self.name,
                "created_at": self.created_at,
                "content": self.content,
                "trigger": self.trigger,
                "rationale": self.rationale,
                "status": self.status,
                "source": self.source,
                "source_interaction_ids": self.interaction_ids,
                "source_span": self.source_span,
                "tags": self.tags,
            }
        )


@dataclass(slots=True)
class AgentPlaybook(Row):
    """One lesson for an agent, drawn from many users' or written by hand."""

    agent_playbook_id: int
    agent_version: str
    created_at: int
    content: str
    name: str = ""
    trigger: str | None = None
    rationale: str | None = None
    blocking_issue: dict[str, Any] | None = None
    approval: str = "pending"
    metadata: str = ""
    status: Status = None
    sources: list[int] = field(default_factory=list[int])
    """The user playbooks it came from."""
    do_action: str | None = None
    do_not_action: str | None = None
    indexed: str = ""

    def view(self) -> dict[str, Any]:
        """As the server shows it; tags are never kept."""
        return present(
            {
                "agent_playbook_id": self.agent_playbook_id,
                "playbook_name": self.name,
                "agent_version": self.agent_version,
                "created_at": self.created_at,
                "content": self.content,
                "trigger": self.trigger,
                "rationale": self.rationale,
                "playbook_status": self.approval,
                "playbook_metadata": self.metadata,
                "status": self.status,
                "tags": list[str](),
            }
        )

    def snapshot(self) -> dict[str, Any]:
        """As the change log shows it, with its nulls."""
        return {
            "agent_playbook_id": self.agent_playbook_id,
            "playbook_name": self.name,
            "agent_version": self.agent_version,
            "content": self.content,
            "trigger": self.trigger,
            "rationale": self.rationale,
            "blocking_issue": self.blocking_issue,
            "playbook_status": self.approval,
            "playbook_metadata": self.metadata,
        }


def present(shown: dict[str, Any]) -> dict[str, Any]:
    """Without what is None."""
    return {name: value for name, value in shown.items() if value is not None}


def shows(status: Status, wanted: Iterable[StatusWord | None] | None) -> bool:
    """Whether a filter lets a status through; no words at all let everything through."""
    words = [None if word is None else word.value for word in wanted or ()]
    return not words or status in words


def tagged(tags: list[str], wanted: list[str] | None) -> bool:
    """Whether a filter on tags lets these through."""
    return not wanted or bool(set(tags) & set(wanted))
