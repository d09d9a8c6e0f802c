"""Generations: reruns and manual generations, one user after the other, with their progress in a slot."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.reflexio.schemas.config import LearningKind
from reflexio_async.sandbox.reflexio.simulation.extraction import (
    RowOrigin,
    learn_playbook,
    learn_profile,
    newest,
)
from reflexio_async.sandbox.reflexio.store.configuration import Configuration
from reflexio_async.sandbox.reflexio.store.operation_slots import OperationSlot, StoredOperation
from reflexio_async.sandbox.reflexio.store.rows import Status, StoredRequest
from reflexio_async.sandbox.reflexio.store.store import ReflexioStore

NO_MATCH = "No interactions found matching the specified filters"


@dataclass(frozen=True, slots=True)
class GenerationTask:
    """What one generation does.

    Attributes:
        users: The users to work on, in order.
        status: The status of the rows that it writes.
        selects: Which requests of a user it reads.
        agent_version: The version of the playbooks that it writes. None writes profiles.
        source: The source that the caller named, which the rows then show.
    """

    users: Sequence[str]
    status: Status
    selects: Callable[[StoredRequest], bool]
    agent_version: str | None = None
    source: str | None = None

    @property
    def kind(self) -> LearningKind:
        """What it writes."""
        return "profile" if self.agent_version is None else "playbook"


@dataclass(frozen=True, slots=True)
class GenerationWorker:
    """Runs generations.

    Attributes:
        seconds: Work per user, or a function from user id to seconds.
        failing_users: Users whose generation fails.
    """

    clock: Clock
    store: ReflexioStore
    configuration: Configuration
    seconds: float | Callable[[str], float]
    failing_users: Collection[str]

    async def run(self, slot: OperationSlot, operation: StoredOperation, task: GenerationTask) -> None:
        """Work on all users. The end is not written when the operation has lost its slot."""
        if not task.users:
            operation.status, operation.error = "failed", NO_MATCH
            operation.completed_at = int(self.clock.time())
            return
        operation.total = len(task.users)
        for user_id in task.users:
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
                self._extract(user_id, task)
            # The written rows stay, even if the operation has lost its slot and may not report them.
            if not slot.owned_by(operation):
                operation.disowned = True
                return
            if failed:
                operation.failed.append({"user_id": user_id, "error": f"scripted failure of {user_id}"})
            else:
                operation.processed.append(user_id)
            operation.current_user = None
            operation.percentage = len(operation.processed) / operation.total * 100
        self._finish(operation, task)

    async def run_without_slot(self, task: GenerationTask) -> None:
        """Work on all users, as January's servers do."""
        for user_id in task.users:
            await self._work(user_id)
            if user_id not in self.failing_users:
                self._extract(user_id, task)

    async def _work(self, user_id: str) -> None:
        seconds = self.seconds if isinstance(self.seconds, (int, float)) else self.seconds(user_id)
        # Work of zero seconds still lets other tasks run, as a thread does.
        await (self.clock.sleep(seconds) if seconds > 0 else asyncio.sleep(0))

    def _finish(self, operation: StoredOperation, task: GenerationTask) -> None:
        # For playbooks the status counts pending rows, even if current ones were written.
        counted = task if task.agent_version is None else replace(task, status="pending")
        operation.generated = self.count(counted, operation.processed)
        operation.interactions = len(operation.processed)
        operation.completed_at = int(self.clock.time())
        if operation.status == "cancelled":
            return
        operation.percentage = 100.0
        operation.status = "failed" if operation.failed else "completed"
        if operation.failed:
            operation.error = f"Generation failed for {len(operation.failed)} user(s)"

    def _extract(self, user_id: str, task: GenerationTask) -> None:
        requests = self.store.requests_by_user.get(user_id, ())
        selected = (each for request in requests if task.selects(request) for each in request.interactions)
        interactions = newest(selected, self.configuration.current.window(task.kind)[0])
        if task.agent_version is None:
            origin = RowOrigin(_request_id(task, "rerun_"), task.source)
            learn_profile(self.store, user_id, interactions, status=task.status, origin=origin)
            return
        if task.status == "pending":
            self._delete_pending(user_id, task.agent_version)
        origin = RowOrigin(_request_id(task, "rerun_playbook_"), task.source)
        learn_playbook(self.store, task.agent_version, interactions, status=task.status, origin=origin)

    def _delete_pending(self, user_id: str, agent_version: str) -> None:
        for key, row in list(self.store.playbooks.items()):
            if row.user_id == user_id and row.agent_version == agent_version and row.status == "pending":
                del self.store.playbooks[key]

    def count(self, task: GenerationTask, users: Collection[str]) -> int:
        """All rows with the task's status: profiles of these users, or playbooks of the version."""
        if task.agent_version is not None:
            rows = self.store.playbooks.values()
            return sum(row.agent_version == task.agent_version and row.status == task.status for row in rows)
        profiles = self.store.profiles
        return sum(row.status == task.status for user in set(users) for row in profiles.get(user, ()))


def _request_id(task: GenerationTask, prefix: str) -> str:
    return f"{prefix if task.status == 'pending' else 'manual_'}{uuid.uuid4().hex[:8]}"
