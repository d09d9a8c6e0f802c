"""The whole state of the Reflexio service: what is stored, and what is in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.reflexio.rate_limits import FixedWindowLimiter
from reflexio_async.sandbox.reflexio.schemas.legacy_config import (
    LegacyConfigSchema,
    LegacyStorageConfigLocalSchema,
)
from reflexio_async.sandbox.reflexio.settings import ReflexioSettings
from reflexio_async.sandbox.reflexio.simulation.aggregation import AggregationOperation, Aggregator
from reflexio_async.sandbox.reflexio.simulation.generation import GenerationWorker
from reflexio_async.sandbox.reflexio.simulation.grading import Grader
from reflexio_async.sandbox.reflexio.simulation.learning import Learner, LearningCursor
from reflexio_async.sandbox.reflexio.store.configuration import ORGANISATION, ConfigRow, Configuration
from reflexio_async.sandbox.reflexio.store.learning_stall import LearningStall
from reflexio_async.sandbox.reflexio.store.operation_slots import (
    LEGACY_SERVICES,
    SERVICES,
    OperationSlot,
    StoredOperation,
)
from reflexio_async.sandbox.reflexio.store.pending_tool_calls import PendingToolCall, PendingToolCallStore
from reflexio_async.sandbox.reflexio.store.session_outcomes import SessionOutcomeStore, StoredSessionOutcome
from reflexio_async.sandbox.reflexio.store.store import ReflexioStore
from reflexio_async.sandbox.storage.tables import ChangeTracker, DocumentRow, Row, Table, by_name

_BRAINTRUST: Final = "braintrust"


@dataclass(slots=True)
class _BearerToken(Row):
    """A token from ``/token``. It expires at an epoch second, or never."""

    bearer: str
    expires_at: float | None


class ReflexioState:
    """The state of one server. What a server has on disk is in tables of ``changes``.

    Attributes:
        shown_results: The search results that each session has seen, by kind and id (server-behaviour:
            Searching). They are in memory alone, so a restart forgets them.
    """

    def __init__(self, clock: Clock, settings: ReflexioSettings, changes: ChangeTracker) -> None:
        self.clock = clock
        self.settings = settings
        self.started_at = clock.now()
        self.requests = 0
        self.store = ReflexioStore(clock, changes)
        correlated = settings.dialect == "correlated"
        services = LEGACY_SERVICES if settings.legacy else SERVICES
        latest = Table(changes, "operation", StoredOperation.from_document, lambda row: row.service)
        self.slots = {
            service: OperationSlot(clock, service, latest, correlated=correlated) for service in services
        }
        self.rate_limiter = FixedWindowLimiter(clock)
        self.configuration = Configuration(
            clock, Table(changes, "configuration", ConfigRow.from_document, lambda _: ORGANISATION)
        )
        self.learner = Learner(
            clock,
            self.store,
            self.configuration,
            settings.learning_seconds,
            Table(changes, "learning", LearningCursor.from_document, lambda row: (row.user_id, row.kind)),
        )
        self.generation = GenerationWorker(
            clock, self.store, self.configuration, settings.rerun_seconds, settings.failing_users
        )
        self.aggregator = Aggregator(
            clock,
            self.store,
            self.configuration,
            settings.aggregation_seconds,
            settings.failing_users,
            Table(changes, "aggregation", AggregationOperation.from_document, lambda row: row.operation_id),
            Table(changes, "aggregation_log", DocumentRow.from_document, by_name),
        )
        self.grader = Grader(clock, self.store, changes, settings.evaluation_seconds, settings.failing_users)
        self.outcomes = SessionOutcomeStore(
            Table(
                changes,
                "outcome",
                StoredSessionOutcome.from_document,
                lambda row: (row.user_id, row.given.session_id),
            )
        )
        self.shown_results: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self.tool_calls = PendingToolCallStore(
            clock, Table(changes, "tool_call", PendingToolCall.from_document, lambda row: row.id)
        )
        self._stalls = Table(changes, "stall", LearningStall.from_document, lambda _: ORGANISATION)
        self._legacy_configuration = Table(
            changes, "legacy_configuration", DocumentRow.from_document, by_name
        )
        self._connections = Table(changes, "connection", DocumentRow.from_document, by_name)
        self._tokens = Table(changes, "token", _BearerToken.from_document, lambda row: row.bearer)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def stall(self) -> LearningStall:
        """Whether learning has stopped."""
        return self._stalls.get(ORGANISATION) or LearningStall()

    @stall.setter
    def stall(self, stall: LearningStall) -> None:
        self._stalls[ORGANISATION] = stall

    @property
    def braintrust(self) -> dict[str, Any] | None:
        """The connection to Braintrust, if there is one. Set it again to change it."""
        row = self._connections.get(_BRAINTRUST)
        return None if row is None else row.body

    @braintrust.setter
    def braintrust(self, connection: dict[str, Any] | None) -> None:
        self._connections.pop(_BRAINTRUST, None)
        if connection is not None:
            self._connections[_BRAINTRUST] = DocumentRow(_BRAINTRUST, connection)

    @property
    def legacy_config(self) -> LegacyConfigSchema:
        """The configuration of a server of January. Set it again to change it.

        Of what it says, the sandbox heeds the evaluators.
        """
        row = self._legacy_configuration.get(ORGANISATION)
        default = LegacyConfigSchema(storage_config=LegacyStorageConfigLocalSchema(dir_path="data"))
        return default if row is None else LegacyConfigSchema.model_validate(row.body)

    @legacy_config.setter
    def legacy_config(self, config: LegacyConfigSchema) -> None:
        document = config.model_dump(mode="json")
        self._legacy_configuration[ORGANISATION] = DocumentRow(ORGANISATION, document)

    def resume(self) -> None:
        """Continue with rows that were read from a file into a new state."""
        self.store.index()
        for slot in self.slots.values():
            slot.resume()
        self.learner.resume()
        self._resume_aggregations()

    def restart(self) -> None:
        """Forget what a server has in memory, and continue."""
        self.rate_limiter.clear()
        self.shown_results.clear()
        self.grader.jobs.clear()
        self._resume_aggregations()

    def _resume_aggregations(self) -> None:
        for operation in self.aggregator.operations.values():
            if operation.active:
                self.spawn(self.aggregator.run(operation))

    def issue_token(self) -> str:
        """A new bearer token, valid for the configured lifetime."""
        token = f"sandbox-{uuid.uuid4()}"
        lifetime = self.settings.token_lifetime
        expires_at = None if lifetime is None else self.clock.time() + lifetime
        self._tokens[token] = _BearerToken(token, expires_at)
        return token

    def revoke_tokens(self) -> None:
        """Make all tokens invalid."""
        self._tokens.clear()

    def accepts(self, bearer: str) -> bool:
        """Whether this is the API key or a valid token."""
        if bearer and bearer == self.settings.api_key:
            return True
        if (token := self._tokens.get(bearer)) is None:
            return False
        return token.expires_at is None or self.clock.time() < token.expires_at

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a task that may outlive its request. ``close`` cancels it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancel all tasks."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
