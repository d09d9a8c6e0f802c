"""What the sandbox has stored: requests with their turns, profiles, playbooks."""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import TYPE_CHECKING

from reflexio_async.sandbox.reflexio.store.rows import AgentPlaybook, Playbook, Profile, StoredRequest, Turn
from reflexio_async.sandbox.storage.tables import Counter, Table, by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.reflexio.schemas.publishing import Publish
    from reflexio_async.sandbox.reflexio.schemas.rows import AgentPlaybookRow, ProfileRow, UserPlaybookRow
    from reflexio_async.sandbox.reflexio.simulation.extraction import Origin
    from reflexio_async.sandbox.reflexio.store.rows import Status
    from reflexio_async.sandbox.storage.tables import Changes

_MONTH = 30 * 24 * 3600
_RATIONALE = "The referenced turn contains the task signal used to construct this mock rule."


class Store:
    """The rows of one organisation, oldest first."""

    def __init__(self, clock: Clock, changes: Changes) -> None:
        self._clock = clock
        self._counters = Table(changes, "counter", Counter.restored, by_name)
        self.requests = Table(changes, "request", StoredRequest.restored, lambda row: row.request_id)
        self.requests_by_user: defaultdict[str, list[StoredRequest]] = defaultdict(list)
        self.profiles: defaultdict[str, list[Profile]] = defaultdict(list)
        """By user, oldest first; to be read only."""
        self._profiles = Table(changes, "profile", Profile.restored, lambda row: row.profile_id)
        self.playbooks = Table(changes, "user_playbook", Playbook.restored, lambda row: row.user_playbook_id)
        self.agent_playbooks = Table(
            changes, "agent_playbook", AgentPlaybook.restored, lambda row: row.agent_playbook_id
        )

    def sort(self) -> None:
        """Find everybody's rows among those that were read back."""
        for request in self.requests.values():
            self.requests_by_user[request.user_id].append(request)
        for profile in self._profiles.values():
            self.profiles[profile.user_id].append(profile)

    @property
    def now(self) -> int:
        """Epoch seconds."""
        return int(self._clock.time())

    def number(self, what: str) -> int:
        """The next id of that kind; none is given twice."""
        if what not in self._counters:
            self._counters[what] = Counter(what)
        return next(self._counters[what])

    def insert(self, publish: Publish) -> StoredRequest | None:
        """Store a publish, or nothing (None) when its request id is taken."""
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
        request.turns = [
            Turn(self.number("interaction"), request.user_id, request_id, turn.created_at or now, turn)
            for turn in publish.turns
        ]
        self.requests[request_id] = request
        self.requests_by_user[request.user_id].append(request)
        return request

    def holds(self, turn: Turn) -> bool:
        """Whether it was not deleted."""
        request = self.requests.get(turn.request_id)
        return request is not None and turn in request.turns

    def users(self) -> list[str]:
        """Everyone who published, sorted."""
        return sorted(self.requests_by_user)

    def turns(self, user_id: str | None = None) -> Iterator[Turn]:
        """Everybody's, or one user's, oldest first."""
        requests = self.requests.values() if user_id is None else self.requests_by_user.get(user_id, ())
        return (turn for request in requests for turn in request.turns)

    def session(self, session_id: str) -> list[StoredRequest]:
        """The requests of a session, oldest first."""
        return [request for request in self.requests.values() if request.session_id == session_id]

    def delete_requests(self, requests: Iterable[StoredRequest]) -> int:
        """Forget them with their turns; how many there were."""
        doomed = list(requests)
        for request in doomed:
            del self.requests[request.request_id]
            owned = self.requests_by_user[request.user_id]
            owned.remove(request)
            if not owned:
                del self.requests_by_user[request.user_id]
        return len(doomed)

    def all_profiles(self) -> Iterator[Profile]:
        """Everybody's that have not expired."""
        now = self.now
        return (row for rows in self.profiles.values() for row in rows if row.expires_at > now)

    def profiles_of(self, user_id: str) -> list[Profile]:
        """One user's that have not expired."""
        now = self.now
        return [row for row in self.profiles.get(user_id, ()) if row.expires_at > now]

    def profile(self, profile_id: str) -> Profile | None:
        """By its id, unless it has expired."""
        row = self._profiles.get(profile_id)
        return row if row is not None and row.expires_at > self.now else None

    def delete_profiles(self, doomed: Callable[[Profile], bool]) -> int:
        """Forget those; how many there were."""
        gone = [row for row in self._profiles.values() if doomed(row)]
        for row in gone:
            del self._profiles[row.profile_id]
            owned = self.profiles[row.user_id]
            owned.remove(row)
            if not owned:
                del self.profiles[row.user_id]
        return len(gone)

    def add_profile(
        self, user_id: str, content: str, turns: Sequence[Turn], *, status: Status, origin: Origin
    ) -> None:
        """Store a profile drawn from ``turns``."""
        now = self.now
        ids = [turn.interaction_id for turn in turns]
        profile = Profile(
            profile_id=str(uuid.uuid4()),
            user_id=user_id,
            content=content,
            created_at=now,
            last_modified=now,
            request_id=origin.request_id,
            status=status,
            interaction_ids=ids,
            time_to_live="one_month",
            expires_at=now + _MONTH,
            source=origin.source or "",
        )
        self.put_profile(profile)

    def put_profile(self, profile: Profile) -> None:
        """Store a row as it is; its id is new."""
        self._profiles[profile.profile_id] = profile
        self.profiles[profile.user_id].append(profile)

    def write_profile(self, row: ProfileRow) -> None:
        """Store a profile as it is given; one with this id is overwritten."""
        if row.profile_id in self._profiles:
            self.delete_profiles(lambda profile: profile.profile_id == row.profile_id)
        profile = Profile(
            profile_id=row.profile_id,
            user_id=row.user_id,
            content=row.content,
            created_at=self.now,
            last_modified=row.last_modified_timestamp,
            request_id=row.generated_from_request_id,
            status=row.status and row.status.value,
            interaction_ids=row.source_interaction_ids,
            time_to_live=row.profile_time_to_live.value,
            expires_at=row.expiration_timestamp,
            source=row.source or "",
            custom_features=row.custom_features,
            extractor_names=row.extractor_names,
            source_span=row.source_span,
            tags=row.tags or [],
        )
        self.put_profile(profile)

    def add_playbook(
        self, agent_version: str, trigger: str, evidence: Turn, *, status: Status, origin: Origin
    ) -> None:
        """Store a playbook of the user whose turn is its evidence."""
        content = f"When {trigger}, improve by adjusting the current approach."
        playbook = Playbook(
            user_playbook_id=0,
            user_id=evidence.user_id,
            agent_version=agent_version,
            request_id=origin.request_id,
            created_at=self.now,
            trigger=trigger,
            source=origin.source,
            source_span=evidence.content,
            status=status,
            interaction_ids=[evidence.interaction_id],
            content=content,
            rationale=_RATIONALE,
            indexed=f"{trigger} {content}",
        )
        self.put_playbook(playbook)

    def write_playbook(self, row: UserPlaybookRow) -> None:
        """Store a user playbook as it is given, under an id of its own."""
        playbook = Playbook(
            user_playbook_id=0,
            user_id=row.user_id,
            agent_version=row.agent_version,
            request_id=row.request_id,
            created_at=self.now if row.created_at is None else row.created_at,
            trigger=row.trigger,
            source_span=row.source_span,
            status=row.status and row.status.value,
            interaction_ids=row.source_interaction_ids,
            content=row.content,
            name=row.playbook_name,
            rationale=row.rationale,
            source=row.source,
            tags=row.tags or [],
            indexed=f"{row.trigger or ''} {row.content}",
        )
        self.put_playbook(playbook)

    def put_playbook(self, playbook: Playbook) -> None:
        """Store a row as it is, under an id of its own."""
        playbook.user_playbook_id = self.number("user_playbook")
        self.playbooks[playbook.user_playbook_id] = playbook

    def put_agent_playbook(self, playbook: AgentPlaybook) -> None:
        """Store a row as it is, under an id of its own."""
        playbook.agent_playbook_id = self.number("agent_playbook")
        self.agent_playbooks[playbook.agent_playbook_id] = playbook

    def add_agent_playbook(
        self, agent_version: str, trigger: str | None, content: str, sources: Sequence[Playbook]
    ) -> AgentPlaybook:
        """Store an agent playbook drawn from users'."""
        playbook = AgentPlaybook(
            agent_playbook_id=0,
            agent_version=agent_version,
            created_at=self.now,
            content=content,
            name="playbook",
            trigger=trigger,
            metadata="mock_generated",
            sources=[source.user_playbook_id for source in sources],
            indexed=f"{trigger or ''} {content}",
        )
        self.put_agent_playbook(playbook)
        return playbook

    def write_agent_playbook(self, row: AgentPlaybookRow) -> None:
        """Store an agent playbook as it is given, under an id of its own, current and without tags."""
        playbook = AgentPlaybook(
            agent_playbook_id=0,
            agent_version=row.agent_version,
            created_at=self.now if row.created_at is None else row.created_at,
            content=row.content,
            name=row.playbook_name,
            trigger=row.trigger,
            rationale=row.rationale,
            blocking_issue=None if row.blocking_issue is None else row.blocking_issue.model_dump(mode="json"),
            approval=row.playbook_status.value,
            metadata=row.playbook_metadata,
            indexed=f"{row.trigger or ''} {row.content}",
        )
        self.put_agent_playbook(playbook)
