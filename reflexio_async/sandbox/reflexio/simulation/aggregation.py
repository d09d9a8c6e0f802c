"""Aggregation: user playbooks become an agent playbook, at once or as a durable operation."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.reflexio.schemas.config import PlaybookAggregatorConfigSchema
from reflexio_async.sandbox.reflexio.store.configuration import Configuration
from reflexio_async.sandbox.reflexio.store.rows import StoredAgentPlaybook
from reflexio_async.sandbox.reflexio.store.store import ReflexioStore
from reflexio_async.sandbox.storage.tables import DocumentRow, Row, Table

FIRST_RETRY: Final = 60.0
"""Seconds until a failed attempt is repeated. Each further wait is twice as long."""

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
        """Whether it has not ended."""
        return self.status in {"queued", "running", "retrying"}

    def view(self) -> dict[str, Any]:
        """As the server returns it, with nulls."""
        return self.document()


@dataclass(slots=True)
class Aggregator:
    """Runs aggregations.

    Attributes:
        seconds: The work of one run.
        failing: Agent versions whose aggregation fails.
        operations: The durable operations by id.
        entries: What each run changed.
        running: The blocking run under way. Only one may run.
    """

    clock: Clock
    store: ReflexioStore
    configuration: Configuration
    seconds: float
    failing: Collection[str]
    operations: Table[str, AggregationOperation]
    entries: Table[str | int, DocumentRow]
    running: asyncio.Future[None] | None = None

    @property
    def change_logs(self) -> list[dict[str, Any]]:
        """What each run changed, oldest first."""
        return [entry.body for entry in self.entries.values()]

    @property
    def busy(self) -> bool:
        """Whether a blocking run is under way."""
        return self.running is not None and not self.running.done()

    @property
    def _config(self) -> PlaybookAggregatorConfigSchema | None:
        """The configuration. None when it allows no aggregation."""
        extractor = self.configuration.current.user_playbook_extractor_config
        if extractor is None or extractor.aggregation_config.min_cluster_size < LEAST_CLUSTER:
            return None
        return extractor.aggregation_config

    def aggregate(self, agent_version: str) -> dict[str, Any]:
        """Replace the version's generated agent playbooks by one for all its current user playbooks."""
        result = {"clusters_found": 0, "user_playbooks_processed": 0, "playbooks_generated": 0}
        if (config := self._config) is None:
            return {**result, "skipped": "no aggregator config or min_cluster_size < 2"}
        least = config.reaggregation_trigger_count
        sources = [
            row
            for row in self.store.playbooks.values()
            if row.agent_version == agent_version and row.status is None
        ]
        if len(sources) < least:
            return {**result, "skipped": f"not enough new playbooks ({len(sources)} < {least})"}
        replaced = [
            row
            for row in self.store.agent_playbooks.values()
            if row.agent_version == agent_version and row.playbook_metadata == "mock_generated"
        ]
        for row in replaced:
            row.status = "superseded"
        first = sources[0]
        content = f"When {first.trigger}, {first.content}." if first.trigger else first.content
        added = StoredAgentPlaybook(
            agent_version=agent_version,
            created_at=self.store.now,
            content=content,
            playbook_name="playbook",
            trigger=first.trigger,
            playbook_metadata="mock_generated",
            sources=[source.user_playbook_id for source in sources],
        )
        self.store.add_agent_playbook(added)
        entry = {
            "id": 0,
            "created_at": self.store.now,
            "playbook_name": added.playbook_name,
            "agent_version": agent_version,
            "run_mode": "full_archive",
            "added_agent_playbooks": [added.snapshot()],
            "removed_agent_playbooks": [row.snapshot() for row in replaced],
            "updated_agent_playbooks": list[Any](),
        }
        number = self.store.next_id("aggregation")
        self.entries[number] = DocumentRow(number, entry)
        return {
            "clusters_found": 1,
            "user_playbooks_processed": len(sources),
            "playbooks_generated": 1,
            "skipped": None,
        }

    def submit(self, request_id: str, agent_version: str) -> AggregationOperation:
        """Add a durable operation. The caller has checked for conflicts."""
        now = self.store.now
        operation = AggregationOperation(
            uuid.uuid4().hex, request_id, agent_version, now, now, next_attempt_at=now
        )
        self.operations[operation.operation_id] = operation
        return operation

    async def run(self, operation: AggregationOperation) -> None:
        """Try a durable operation until it succeeds, or until there were five attempts."""
        # The server's scheduler starts it later, so that a first look finds it queued.
        await self.work(self.seconds / 2)
        while operation.active:
            operation.status, operation.attempts = "running", operation.attempts + 1
            operation.started_at, operation.next_attempt_at = self._touch(operation), None
            await self.work(self.seconds / 2)
            if self._config is None:
                operation.status, operation.error = "failed", "invalid_configuration_or_input"
                operation.completed_at = self._touch(operation)
            elif operation.agent_version not in self.failing:
                operation.result = self.aggregate(operation.agent_version)
                operation.status, operation.error = "succeeded", None
                operation.completed_at = self._touch(operation)
            elif operation.attempts >= MOST_ATTEMPTS:
                operation.status, operation.error = "failed", "attempts_exhausted"
                operation.completed_at = self._touch(operation)
            else:
                pause = FIRST_RETRY * 2 ** (operation.attempts - 1)
                operation.status, operation.error = "retrying", "execution_failed"
                operation.next_attempt_at = self._touch(operation) + int(pause)
                await self.clock.sleep(pause)

    def _touch(self, operation: AggregationOperation) -> int:
        operation.updated_at = self.store.now
        return operation.updated_at

    async def work(self, seconds: float) -> None:
        """Spend time on the clock. Zero seconds still let other tasks run, as a thread does."""
        await (self.clock.sleep(seconds) if seconds > 0 else asyncio.sleep(0))
