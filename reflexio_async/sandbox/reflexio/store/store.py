"""The requests with their interactions, the profiles and the playbooks of one organisation."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.reflexio.schemas.agent_playbooks import AgentPlaybookSchema
from reflexio_async.sandbox.reflexio.schemas.interactions import PublishUserInteractionRequestSchema
from reflexio_async.sandbox.reflexio.schemas.legacy import (
    LegacyFeedbackSchema,
    LegacyRawFeedbackSchema,
)
from reflexio_async.sandbox.reflexio.schemas.playbooks import UserPlaybookSchema
from reflexio_async.sandbox.reflexio.schemas.profiles import UserProfileSchema
from reflexio_async.sandbox.reflexio.store.rows import (
    StoredAgentPlaybook,
    StoredInteraction,
    StoredProfile,
    StoredRequest,
    StoredUserPlaybook,
)
from reflexio_async.sandbox.storage.tables import ChangeTracker, IdCounter, Table, by_name

_PlaybookSchema = AgentPlaybookSchema | UserPlaybookSchema | LegacyFeedbackSchema | LegacyRawFeedbackSchema
_Row = TypeVar("_Row")


class ReflexioStore:
    """All rows, oldest first.

    Attributes:
        requests: By request id.
        requests_by_user: The same rows. Read only.
        profiles: By user id, expired ones included. Read only.
        playbooks: User playbooks by id.
        agent_playbooks: By id.
    """

    def __init__(self, clock: Clock, changes: ChangeTracker) -> None:
        self._clock = clock
        self._counters = Table(changes, "counter", IdCounter.from_document, by_name)
        self.requests = Table(changes, "request", StoredRequest.from_document, lambda row: row.request_id)
        self.requests_by_user: defaultdict[str, list[StoredRequest]] = defaultdict(list)
        self.profiles: defaultdict[str, list[StoredProfile]] = defaultdict(list)
        self._profiles = Table(changes, "profile", StoredProfile.from_document, lambda row: row.profile_id)
        self.playbooks = Table(
            changes, "user_playbook", StoredUserPlaybook.from_document, lambda row: row.user_playbook_id
        )
        self.agent_playbooks = Table(
            changes, "agent_playbook", StoredAgentPlaybook.from_document, lambda row: row.agent_playbook_id
        )

    def index(self) -> None:
        """Group the rows that were read from a file by user."""
        for request in self.requests.values():
            self.requests_by_user[request.user_id].append(request)
        for profile in self._profiles.values():
            self.profiles[profile.user_id].append(profile)

    @property
    def now(self) -> int:
        """Epoch seconds."""
        return int(self._clock.time())

    def created_at(self, given: _PlaybookSchema) -> int:
        """The given time of a row, or now."""
        return given.created_at if "created_at" in given.model_fields_set else self.now

    def next_id(self, kind: str) -> int:
        """The next id of this kind. None is given twice."""
        if kind not in self._counters:
            self._counters[kind] = IdCounter(kind)
        return next(self._counters[kind])

    def insert(self, publish: PublishUserInteractionRequestSchema) -> StoredRequest | None:
        """Store a publish. None when its request id exists (server-behaviour: Repeating a publish)."""
        request_id = publish.request_id or str(uuid.uuid4())
        if request_id in self.requests:
            return None
        now = self.now
        request = StoredRequest(
            request_id=request_id,
            user_id=publish.user_id,
            session_id=publish.session_id,
            created_at=now,
            source=publish.source,
            agent_version=publish.agent_version or "agent-v0",
            evaluation_only=publish.evaluation_only,
            retrieval_experiment_id=publish.retrieval_experiment_id,
            retrieval_experiment_arm=publish.retrieval_experiment_arm,
        )
        request.interactions = [
            StoredInteraction(
                self.next_id("interaction"), request.user_id, request_id, given.created_at or now, given
            )
            for given in publish.interactions
        ]
        self.requests[request_id] = request
        self.requests_by_user[request.user_id].append(request)
        return request

    def has(self, interaction: StoredInteraction) -> bool:
        """Whether an interaction was not deleted."""
        request = self.requests.get(interaction.request_id)
        return request is not None and interaction in request.interactions

    def users(self) -> list[str]:
        """All users with a request, sorted."""
        return sorted(self.requests_by_user)

    def users_with(self, selects: Callable[[StoredRequest], bool], user_id: str | None = None) -> list[str]:
        """The users with a request that ``selects`` accepts, sorted; at most ``user_id`` if it is given."""
        users = [user_id] if user_id else self.users()
        return [user for user in users if any(map(selects, self.requests_by_user.get(user, ())))]

    def interactions(self, user_id: str | None = None) -> Iterator[StoredInteraction]:
        """The interactions of one user or of all, oldest first."""
        requests = self.requests.values() if user_id is None else self.requests_by_user.get(user_id, ())
        return (each for request in requests for each in request.interactions)

    def session(self, session_id: str) -> list[StoredRequest]:
        """The requests of a session, oldest first."""
        return [request for request in self.requests.values() if request.session_id == session_id]

    def delete_requests(self, requests: Iterable[StoredRequest]) -> int:
        """Delete requests with their interactions. Returns how many requests."""
        deleted = list(requests)
        for request in deleted:
            del self.requests[request.request_id]
            _remove(self.requests_by_user, request.user_id, request)
        return len(deleted)

    def delete_interaction(self, user_id: str, interaction_id: int) -> None:
        """Delete one, if the user has it. Its request remains."""
        for request in self.requests_by_user.get(user_id, ()):
            request.interactions = [
                each for each in request.interactions if each.interaction_id != interaction_id
            ]

    def all_profiles(self) -> Iterator[StoredProfile]:
        """The profiles of all users that have not expired."""
        now = self.now
        return (row for rows in self.profiles.values() for row in rows if row.expiration_timestamp > now)

    def profiles_of(self, user_id: str) -> list[StoredProfile]:
        """The profiles of one user that have not expired."""
        now = self.now
        return [row for row in self.profiles.get(user_id, ()) if row.expiration_timestamp > now]

    def profile(self, profile_id: str) -> StoredProfile | None:
        """A profile that has not expired."""
        row = self._profiles.get(profile_id)
        return row if row is not None and row.expiration_timestamp > self.now else None

    def delete_profiles(self, selects: Callable[[StoredProfile], bool]) -> int:
        """Delete the profiles that ``selects`` accepts. Returns how many."""
        deleted = [row for row in self._profiles.values() if selects(row)]
        for row in deleted:
            del self._profiles[row.profile_id]
            _remove(self.profiles, row.user_id, row)
        return len(deleted)

    def add_profile(self, profile: StoredProfile) -> None:
        """Store a row with a new id."""
        self._profiles[profile.profile_id] = profile
        self.profiles[profile.user_id].append(profile)

    def add_playbook(self, playbook: StoredUserPlaybook) -> None:
        """Store a row under the next id."""
        playbook.user_playbook_id = self.next_id("user_playbook")
        self.playbooks[playbook.user_playbook_id] = playbook

    def add_agent_playbook(self, playbook: StoredAgentPlaybook) -> None:
        """Store a row under the next id."""
        playbook.agent_playbook_id = self.next_id("agent_playbook")
        self.agent_playbooks[playbook.agent_playbook_id] = playbook

    def write_profile(self, given: UserProfileSchema) -> None:
        """Store a caller's profile. One with this id is overwritten."""
        if given.profile_id in self._profiles:
            self.delete_profiles(lambda row: row.profile_id == given.profile_id)
        profile = StoredProfile(
            profile_id=given.profile_id,
            user_id=given.user_id,
            content=given.content,
            created_at=self.now,
            last_modified_timestamp=given.last_modified_timestamp,
            generated_from_request_id=given.generated_from_request_id,
            status=given.status and given.status.value,
            source_interaction_ids=given.source_interaction_ids,
            profile_time_to_live=given.profile_time_to_live.value,
            expiration_timestamp=given.expiration_timestamp,
            source=given.source or "",
            custom_features=given.custom_features,
            extractor_names=given.extractor_names,
            source_span=given.source_span,
            tags=given.tags or [],
        )
        self.add_profile(profile)

    def write_playbook(self, given: UserPlaybookSchema) -> None:
        """Store a caller's user playbook under the next id."""
        playbook = StoredUserPlaybook(
            user_id=given.user_id,
            agent_version=given.agent_version,
            request_id=given.request_id,
            created_at=self.created_at(given),
            trigger=given.trigger,
            source_span=given.source_span,
            status=given.status and given.status.value,
            source_interaction_ids=given.source_interaction_ids,
            content=given.content,
            playbook_name=given.playbook_name,
            rationale=given.rationale,
            source=given.source,
            tags=given.tags or [],
        )
        self.add_playbook(playbook)

    def write_agent_playbook(self, given: AgentPlaybookSchema) -> None:
        """Store a caller's agent playbook under the next id, current and without tags."""
        issue = given.blocking_issue
        playbook = StoredAgentPlaybook(
            agent_version=given.agent_version,
            created_at=self.created_at(given),
            content=given.content,
            playbook_name=given.playbook_name,
            trigger=given.trigger,
            rationale=given.rationale,
            blocking_issue=None if issue is None else issue.model_dump(mode="json"),
            playbook_status=given.playbook_status.value,
            playbook_metadata=given.playbook_metadata,
        )
        self.add_agent_playbook(playbook)


def _remove(by_user: dict[str, list[_Row]], user_id: str, row: _Row) -> None:
    by_user[user_id].remove(row)
    if not by_user[user_id]:
        del by_user[user_id]
