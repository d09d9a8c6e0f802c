"""Running generations: user after user, on the clock, with the progress in the slot."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reflexio_async.sandbox.reflexio.simulation.extraction import (
    Origin,
    learn_playbook,
    learn_profile,
    newest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.reflexio.kinds import Kind
    from reflexio_async.sandbox.reflexio.store.configuration import Configuration
    from reflexio_async.sandbox.reflexio.store.operation_slots import Operation, Slot
    from reflexio_async.sandbox.reflexio.store.rows import Status, StoredRequest
    from reflexio_async.sandbox.reflexio.store.store import Store

NO_MATCH = "No interactions found matching the specified filters"


@dataclass(frozen=True, slots=True)
class Job:
    """What one generation does: for whom, from which requests, into which rows."""

    users: Sequence[str]
    status: Status
    selects: Callable[[StoredRequest], bool]
    agent_version: str | None = None
    """None makes profiles; a version makes its playbooks."""
    source: str | None = None
    """What the caller named as the source, which the rows then show."""

    @property
    def kind(self) -> Kind:
        """Of what it makes."""
        return "profile" if self.agent_version is None else "playbook"


@dataclass(frozen=True, slots=True)
class Generator:
    """The worker."""

    clock: Clock
    store: Store
    configuration: Configuration
    seconds: float | Callable[[str], float]
    failing_users: Collection[str]

    def duration(self, user_id: str) -> float:
        """Seconds of work for one user."""
        return self.seconds if isinstance(self.seconds, (int, float)) else self.seconds(user_id)

    async def run(self, slot: Slot, operation: Operation, job: Job) -> None:
        """Work through the users, then write the end, unless the slot was lost on the way."""
        if not job.users:
            operation.status, operation.error = "failed", NO_MATCH
            operation.completed_at = int(self.clock.time())
            return
        operation.total = len(job.users)
        for user_id in job.users:
            if not slot.owned_by(operation):
                operation.disowned = True
                return
            if operation.cancel_requested:
                operation.status = "cancelled"
                break
            operation.current_user = user_id
            await self._work(user_id)
            failed = user_id in self.failing_users
            if not failed:
                self.extract(user_id, job)
            # What was written stays written, though an operation that lost its slot may not report it.
            if not slot.owned_by(operation):
                operation.disowned = True
                return
            if failed:
                operation.failed.append({"user_id": user_id, "error": f"scripted failure of {user_id}"})
            else:
                operation.processed.append(user_id)
            operation.current_user = None
            operation.percentage = len(operation.processed) / operation.total * 100
        self._finish(operation, job)

    async def run_unslotted(self, job: Job) -> None:
        """The same without a slot, as January's servers do."""
        for user_id in job.users:
            await self._work(user_id)
            if user_id not in self.failing_users:
                self.extract(user_id, job)

    async def _work(self, user_id: str) -> None:
        seconds = self.duration(user_id)
        # Even instant work lets others in between, as a thread does.
        await (self.clock.sleep(seconds) if seconds > 0 else asyncio.sleep(0))

    def _finish(self, operation: Operation, job: Job) -> None:
        # Of playbooks the status counts the pending ones even where current ones were written.
        counted = job if job.agent_version is None else replace(job, status="pending")
        operation.generated = self.count(counted, operation.processed)
        operation.interactions = len(operation.processed)
        operation.completed_at = int(self.clock.time())
        if operation.status == "cancelled":
            return
        operation.percentage = 100.0
        operation.status = "failed" if operation.failed else "completed"
        if operation.failed:
            operation.error = f"Generation failed for {len(operation.failed)} user(s)"

    def extract(self, user_id: str, job: Job) -> None:
        """Write the rows of one user."""
        selected = (turn for request in self._requests(user_id, job) for turn in request.turns)
        turns = newest(selected, self.configuration.current.window(job.kind)[0])
        if job.agent_version is None:
            request_id = _request_id(job, "rerun_")
            origin = Origin(request_id, job.source)
            learn_profile(self.store, user_id, turns, status=job.status, origin=origin)
            return
        if job.status == "pending":
            self._drop_pending(user_id, job.agent_version)
        origin = Origin(_request_id(job, "rerun_playbook_"), job.source)
        learn_playbook(self.store, job.agent_version, turns, status=job.status, origin=origin)

    def _requests(self, user_id: str, job: Job) -> list[StoredRequest]:
        return [request for request in self.store.requests_by_user.get(user_id, ()) if job.selects(request)]

    def _drop_pending(self, user_id: str, agent_version: str) -> None:
        for key, row in list(self.store.playbooks.items()):
            if row.user_id == user_id and row.agent_version == agent_version and row.status == "pending":
                del self.store.playbooks[key]

    def count(self, job: Job, users: Collection[str]) -> int:
        """All rows in the state this job writes: of these users, or for playbooks of this version."""
        if job.agent_version is not None:
            rows = self.store.playbooks.values()
            return sum(row.agent_version == job.agent_version and row.status == job.status for row in rows)
        profiles = self.store.profiles
        return sum(row.status == job.status for user in set(users) for row in profiles.get(user, ()))


def _request_id(job: Job, rerun: str) -> str:
    return f"{rerun if job.status == 'pending' else 'manual_'}{uuid.uuid4().hex[:8]}"
