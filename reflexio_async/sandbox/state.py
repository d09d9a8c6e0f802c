"""What the sandbox has stored: requests with their turns, profiles and playbooks."""

from __future__ import annotations

import itertools
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reflexio_async.core.clock import Clock
    from reflexio_async.sandbox.bodies import Interaction, Publish, StatusWord

Status = Literal["pending", "archived"] | None
"""The states the sandbox gives; None is current."""

_MONTH = 30 * 24 * 3600


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
        kept = {
            "role",
            "content",
            "shadow_content",
            "expert_content",
            "user_action",
            "user_action_description",
        }
        kept |= {"interacted_image_url", "tools_used", "retrieved_learnings"}
        return {
            "interaction_id": self.interaction_id,
            "user_id": self.user_id,
            "request_id": self.request_id,
            "created_at": self.created_at,
            **self.given.model_dump(mode="json", include=kept),
        }


@dataclass(slots=True)
class StoredRequest:
    """One publish that was stored."""

    request_id: str
    user_id: str
    session_id: str
    created_at: int
    source: str
    agent_version: str
    evaluation_only: bool
    turns: list[Turn] = field(default_factory=list[Turn])

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
        )
        shown = {name: getattr(self, name) for name in names}
        return {"request": shown, "interactions": [turn.view() for turn in self.turns]}


@dataclass(slots=True)
class Profile:
    """One fact about a user."""

    profile_id: str
    user_id: str
    content: str
    created_at: int
    last_modified: int
    request_id: str
    status: Status
    interaction_ids: list[int]

    def view(self) -> dict[str, Any]:
        """As the server shows it: a current row has no ``status`` key."""
        shown: dict[str, Any] = {
            "profile_id": self.profile_id,
            "user_id": self.user_id,
            "content": self.content,
            "last_modified_timestamp": self.last_modified,
            "generated_from_request_id": self.request_id,
            "profile_time_to_live": "one_month",
            "expiration_timestamp": self.created_at + _MONTH,
            "source": "",
            "source_interaction_ids": self.interaction_ids,
            "tags": [],
        }
        return shown if self.status is None else {**shown, "status": self.status}


@dataclass(slots=True)
class Playbook:
    """One lesson drawn from a user's interactions."""

    user_playbook_id: int
    user_id: str
    agent_version: str
    request_id: str
    created_at: int
    trigger: str
    source_span: str
    status: Status
    interaction_ids: list[int]

    def view(self) -> dict[str, Any]:
        """As the server shows it: a current row has no ``status`` key."""
        shown: dict[str, Any] = {
            "user_playbook_id": self.user_playbook_id,
            "user_id": self.user_id,
            "agent_version": self.agent_version,
            "request_id": self.request_id,
            "playbook_name": "playbook",
            "created_at": self.created_at,
            "content": f"When {self.trigger}, improve by adjusting the current approach.",
            "trigger": self.trigger,
            "rationale": "The referenced turn contains the task signal used to construct this mock rule.",
            "source_interaction_ids": self.interaction_ids,
            "source_span": self.source_span,
            "tags": [],
        }
        return shown if self.status is None else {**shown, "status": self.status}


class Store:
    """The rows of one organisation, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._interaction_ids = itertools.count(1)
        self._playbook_ids = itertools.count(1)
        self.requests: dict[str, StoredRequest] = {}
        self.requests_by_user: defaultdict[str, list[StoredRequest]] = defaultdict(list)
        self.profiles: defaultdict[str, list[Profile]] = defaultdict(list)
        """By user, oldest first."""
        self.playbooks: dict[int, Playbook] = {}

    def insert(self, publish: Publish) -> StoredRequest | None:
        """Store a publish, or nothing (None) when its request id is taken."""
        request_id = publish.request_id or str(uuid.uuid4())
        if request_id in self.requests:
            return None
        now = int(self._clock.time())
        request = StoredRequest(
            request_id=request_id,
            user_id=publish.user_id,
            session_id=publish.session_id,
            created_at=now,
            source=publish.source,
            agent_version=publish.agent_version or "agent-v0",
            evaluation_only=publish.evaluation_only,
        )
        request.turns = [
            Turn(next(self._interaction_ids), request.user_id, request_id, turn.created_at or now, turn)
            for turn in publish.turns
        ]
        self.requests[request_id] = request
        self.requests_by_user[request.user_id].append(request)
        return request

    def users(self) -> list[str]:
        """Everyone who published, sorted."""
        return sorted(self.requests_by_user)

    def add_profile(
        self, user_id: str, content: str, turns: Sequence[Turn], *, status: Status, request_id: str
    ) -> None:
        """Store a profile drawn from ``turns``."""
        now = int(self._clock.time())
        ids = [turn.interaction_id for turn in turns]
        profile = Profile(str(uuid.uuid4()), user_id, content, now, now, request_id, status, ids)
        self.profiles[user_id].append(profile)

    def add_playbook(
        self, agent_version: str, trigger: str, evidence: Turn, *, status: Status, request_id: str
    ) -> None:
        """Store a playbook of the user whose turn is its evidence."""
        playbook = Playbook(
            user_playbook_id=next(self._playbook_ids),
            user_id=evidence.user_id,
            agent_version=agent_version,
            request_id=request_id,
            created_at=int(self._clock.time()),
            trigger=trigger,
            source_span=evidence.content,
            status=status,
            interaction_ids=[evidence.interaction_id],
        )
        self.playbooks[playbook.user_playbook_id] = playbook

    def promote_profiles(self) -> tuple[int, int, int]:
        """Pending to current, current to archived, archived away; how many of each."""
        rows = [row for owned in self.profiles.values() for row in owned]
        moved = _promote(rows)
        now = int(self._clock.time())
        for profile in (*moved.promoted, *moved.archived):
            profile.last_modified = now
        gone = {profile.profile_id for profile in moved.deleted}
        for user_id in {profile.user_id for profile in moved.deleted}:
            self.profiles[user_id] = [row for row in self.profiles[user_id] if row.profile_id not in gone]
        return moved.counts

    def promote_playbooks(self, agent_version: str | None, *, archive_current: bool) -> tuple[int, int, int]:
        """As with profiles, for one agent version or all; optionally leaving the current ones."""
        rows = [row for row in self.playbooks.values() if agent_version in (None, row.agent_version)]
        moved = _promote(rows, archive=archive_current)
        for playbook in moved.deleted:
            del self.playbooks[playbook.user_playbook_id]
        return moved.counts


_Row = TypeVar("_Row", Profile, Playbook)


@dataclass(frozen=True, slots=True)
class _Moved(Generic[_Row]):
    promoted: Sequence[_Row]
    archived: Sequence[_Row]
    deleted: Sequence[_Row]

    @property
    def counts(self) -> tuple[int, int, int]:
        return len(self.promoted), len(self.archived), len(self.deleted)


def _promote(rows: Sequence[_Row], *, archive: bool = True) -> _Moved[_Row]:
    pending = [row for row in rows if row.status == "pending"]
    archive = archive and bool(pending)
    deleted = [row for row in rows if archive and row.status == "archived"]
    archived = [row for row in rows if archive and row.status is None]
    for row in archived:
        row.status = "archived"
    for row in pending:
        row.status = None
    return _Moved(pending, archived, deleted)


def shows(status: Status, wanted: Iterable[StatusWord | None] | None) -> bool:
    """Whether a filter lets a status through; no words at all let everything through."""
    words = [None if word is None else word.value for word in wanted or ()]
    return not words or status in words
