"""Everything behind the sandbox's door: settings, rows, slots, quotas, tokens."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reflexio_async.sandbox.reflexio.rate_limits import FixedWindows
from reflexio_async.sandbox.reflexio.simulation.aggregation import AggregationOperation, Aggregator
from reflexio_async.sandbox.reflexio.simulation.generation import Generator
from reflexio_async.sandbox.reflexio.simulation.grading import Grader
from reflexio_async.sandbox.reflexio.simulation.learning import Cursor, Learning
from reflexio_async.sandbox.reflexio.store.configuration import ORGANISATION, Configuration, Configured
from reflexio_async.sandbox.reflexio.store.learning_stall import Stall
from reflexio_async.sandbox.reflexio.store.operation_slots import LEGACY_SERVICES, SERVICES, Operation, Slot
from reflexio_async.sandbox.reflexio.store.pending_tool_calls import PendingToolCall, ToolCalls
from reflexio_async.sandbox.reflexio.store.session_outcomes import Outcome, Outcomes, Served
from reflexio_async.sandbox.reflexio.store.store import Store
from reflexio_async.sandbox.storage.tables import Changes, Document, Row, Table, by_name

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.reflexio.settings import Settings


@dataclass(slots=True)
class _Token(Row):
    bearer: str
    expires_at: float | None
    """Epoch seconds."""


_BRAINTRUST: Final = "braintrust"


class World:
    """One server's memory; what a server has on disk is in tables of ``changes``."""

    def __init__(self, clock: Clock, settings: Settings, changes: Changes | None = None) -> None:
        self.clock = clock
        self.settings = settings
        self.started_at = clock.now()
        self.requests = 0
        self.changes = changes = Changes() if changes is None else changes
        self.store = Store(clock, changes)
        correlated = settings.dialect == "correlated"
        services = LEGACY_SERVICES if settings.legacy else SERVICES
        latest = Table(changes, "operation", Operation.restored, lambda row: row.service)
        self.slots = {service: Slot(clock, service, latest, correlated=correlated) for service in services}
        self.windows = FixedWindows(clock)
        configured = Table(changes, "configuration", Configured.restored, lambda _: ORGANISATION)
        self.configuration = Configuration(clock, configured)
        self.learning = Learning(
            clock,
            self.store,
            self.configuration,
            settings.learning_seconds,
            Table(changes, "learning", Cursor.restored, lambda row: (row.user_id, row.kind)),
        )
        self.generator = Generator(
            clock, self.store, self.configuration, settings.rerun_seconds, settings.failing_users
        )
        self.aggregator = Aggregator(
            clock,
            self.store,
            self.configuration,
            settings.aggregation_seconds,
            settings.failing_users,
            Table(changes, "aggregation", AggregationOperation.restored, lambda row: row.operation_id),
            Table(changes, "aggregation_log", Document.restored, by_name),
        )
        self.grader = Grader(clock, self.store, changes, settings.evaluation_seconds, settings.failing_users)
        self.outcomes = Outcomes(
            Table(changes, "outcome", Outcome.restored, lambda row: (row.user_id, row.given.session_id))
        )
        self.served = Served()
        self.tool_calls = ToolCalls(
            clock, Table(changes, "tool_call", PendingToolCall.restored, lambda row: row.id)
        )
        self._stalls = Table(changes, "stall", Stall.restored, lambda _: ORGANISATION)
        self._connections = Table(changes, "connection", Document.restored, by_name)
        self._tokens = Table(changes, "token", _Token.restored, lambda row: row.bearer)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def stall(self) -> Stall:
        """Whether learning has stalled."""
        return self._stalls.get(ORGANISATION) or Stall()

    @stall.setter
    def stall(self, stall: Stall) -> None:
        self._stalls[ORGANISATION] = stall

    @property
    def braintrust(self) -> dict[str, Any] | None:
        """The connection, if there is one; to be set anew when it changes."""
        row = self._connections.get(_BRAINTRUST)
        return None if row is None else row.body

    @braintrust.setter
    def braintrust(self, connection: dict[str, Any] | None) -> None:
        self._connections.pop(_BRAINTRUST, None)
        if connection is not None:
            self._connections[_BRAINTRUST] = Document(_BRAINTRUST, connection)

    def resume(self) -> None:
        """Go on with what was read back from a file, in a world that has just been made."""
        self.store.sort()
        for slot in self.slots.values():
            slot.resume()
        self.learning.resume()
        self._go_on()

    def wake(self) -> None:
        """Go on after a restart, with what is on disk alone."""
        self.windows.forget()
        self.served = Served()
        self.grader.jobs.clear()
        self._go_on()

    def _go_on(self) -> None:
        for operation in self.aggregator.operations.values():
            if operation.active:
                self.spawn(self.aggregator.work_off(operation))

    def issue_token(self) -> str:
        """A bearer token, good for the configured lifetime."""
        token = f"sandbox-{uuid.uuid4()}"
        lifetime = self.settings.token_lifetime
        expires_at = None if lifetime is None else self.clock.time() + lifetime
        self._tokens[token] = _Token(token, expires_at)
        return token

    def revoke_tokens(self) -> None:
        """Make every token issued so far worthless."""
        self._tokens.clear()

    def accepts(self, bearer: str) -> bool:
        """Whether this credential opens the door now."""
        if bearer and bearer == self.settings.api_key:
            return True
        if (token := self._tokens.get(bearer)) is None:
            return False
        return token.expires_at is None or self.clock.time() < token.expires_at

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run something that outlives its request; closing ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End what still runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
