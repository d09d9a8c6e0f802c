"""Aggregation: users' playbooks become an agent's, at once or as durable operations on the clock."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reflexio_async.sandbox.storage.tables import Document, Row

if TYPE_CHECKING:
    from collections.abc import Collection

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.reflexio.schemas.config import Aggregation
    from reflexio_async.sandbox.reflexio.store.configuration import Configuration
    from reflexio_async.sandbox.reflexio.store.store import Store
    from reflexio_async.sandbox.storage.tables import Table

FIRST_RETRY: Final = 60.0
"""Seconds until a failed attempt is repeated; each further wait is twice as long."""

MOST_ATTEMPTS: Final = 5
LEAST_CLUSTER: Final = 2


@dataclass(slots=True)
class AggregationOperation(Row):
    """One durable aggregation."""

    operation_id: str
    request_id: str
    agent_version: str
    created_at: int
    updated_at: int
    status: str = "queued"
    started_at: int | None = None
    completed_at: int | None = None
    attempts: int = 0
    next_attempt_at: int | None = None
    error: str | None = None
    result: dict[str, Any] | None = None

    @property
    def active(self) -> bool:
        """Whether it will still do something."""
        return self.status in {"queued", "running", "retrying"}

    def view(self) -> dict[str, Any]:
        """As the server shows it, nulls and all."""
        names = (
            *("operation_id", "request_id", "agent_version", "status", "created_at", "updated_at"),
            *("started_at", "completed_at", "attempts", "next_attempt_at", "error", "result"),
        )
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class Aggregator:
    """The worker, and what it has done.

    ``seconds`` is the work of one run; versions in ``failing`` fail whenever they are tried.
    """

    clock: Clock
    store: Store
    configuration: Configuration
    seconds: float
    failing: Collection[str]
    operations: Table[str, AggregationOperation]
    entries: Table[str | int, Document]
    """What each run did, for ``logs``."""
    running: asyncio.Future[None] | None = None
    """The blocking run under way; there is room for one."""

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The history of every version, oldest first."""
        return [entry.body for entry in self.entries.values()]

    @property
    def busy(self) -> bool:
        """Whether a blocking run is under way."""
        return self.running is not None and not self.running.done()

    @property
    def _limits(self) -> Aggregation | None:
        """As configured, where that makes sense."""
        extractor = self.configuration.current.user_playbook_extractor_config
        if extractor is None or extractor.aggregation_config.min_cluster_size < LEAST_CLUSTER:
            return None
        return extractor.aggregation_config

    def aggregate(self, agent_version: str) -> dict[str, Any]:
        """Replace the version's agent playbooks by one for all its current user playbooks."""
        result = {"clusters_found": 0, "user_playbooks_processed": 0, "playbooks_generated": 0}
        if (limits := self._limits) is None:
            return {**result, "skipped": "no aggregator config or min_cluster_size < 2"}
        least = limits.reaggregation_trigger_count
        sources = [
            row
            for row in self.store.playbooks.values()
            if row.agent_version == agent_version and row.status is None
        ]
        if len(sources) < least:
            return {**result, "skipped": f"not enough new playbooks ({len(sources)} < {least})"}
        generated = [
            row
            for row in self.store.agent_playbooks.values()
            if row.agent_version == agent_version and row.metadata == "mock_generated"
        ]
        for row in generated:
            row.status = "superseded"
        first = sources[0]
        content = f"When {first.trigger}, {first.content}." if first.trigger else first.content
        added = self.store.add_agent_playbook(agent_version, first.trigger, content, sources)
        entry = {
            "id": 0,
            "created_at": self.store.now,
            "playbook_name": added.name,
            "agent_version": agent_version,
            "run_mode": "full_archive",
            "added_agent_playbooks": [added.snapshot()],
            "removed_agent_playbooks": [row.snapshot() for row in generated],
            "updated_agent_playbooks": list[Any](),
        }
        number = self.store.number("aggregation")
        self.entries[number] = Document(number, entry)
        return {
            "clusters_found": 1,
            "user_playbooks_processed": len(sources),
            "playbooks_generated": 1,
            "skipped": None,
        }

    def submit(self, request_id: str, agent_version: str) -> AggregationOperation:
        """A new operation; who asks has looked for conflicts."""
        now = self.store.now
        operation = AggregationOperation(
            uuid.uuid4().hex, request_id, agent_version, now, now, next_attempt_at=now
        )
        self.operations[operation.operation_id] = operation
        return operation

    async def work_off(self, operation: AggregationOperation) -> None:
        """Attempt it until it succeeds, or five times."""
        # A scheduler picks it up, so that a first look finds it queued.
        await self._spend(self.seconds / 2)
        while operation.active:
            operation.status, operation.attempts = "running", operation.attempts + 1
            operation.started_at, operation.next_attempt_at = self._tick(operation), None
            await self._spend(self.seconds / 2)
            if self._limits is None:
                operation.status, operation.error = "failed", "invalid_configuration_or_input"
                operation.completed_at = self._tick(operation)
            elif operation.agent_version not in self.failing:
                operation.result = self.aggregate(operation.agent_version)
                operation.status, operation.error = "succeeded", None
                operation.completed_at = self._tick(operation)
            elif operation.attempts >= MOST_ATTEMPTS:
                operation.status, operation.error = "failed", "attempts_exhausted"
                operation.completed_at = self._tick(operation)
            else:
                pause = FIRST_RETRY * 2 ** (operation.attempts - 1)
                operation.status, operation.error = "retrying", "execution_failed"
                operation.next_attempt_at = self._tick(operation) + int(pause)
                await self.clock.sleep(pause)

    def _tick(self, operation: AggregationOperation) -> int:
        operation.updated_at = self.store.now
        return operation.updated_at

    async def _spend(self, seconds: float) -> None:
        # Even instant work lets others in between, as a thread does.
        await (self.clock.sleep(seconds) if seconds > 0 else asyncio.sleep(0))
