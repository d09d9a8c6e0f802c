"""Everything behind the sandbox's door: settings, rows, slots, quotas, tokens."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from reflexio_async.sandbox.aggregating import Aggregator
from reflexio_async.sandbox.config import Configuration
from reflexio_async.sandbox.generation import Generator
from reflexio_async.sandbox.grading import Grader
from reflexio_async.sandbox.learning import Learning
from reflexio_async.sandbox.limits import FixedWindows
from reflexio_async.sandbox.outcomes import Outcomes, Served
from reflexio_async.sandbox.slots import LEGACY_SERVICES, SERVICES, Slot
from reflexio_async.sandbox.stall import Stall
from reflexio_async.sandbox.state import Store
from reflexio_async.sandbox.tool_calls import ToolCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Mapping

    from reflexio_async.core.clock import Clock

Dialect = Literal["correlated", "uncorrelated", "synchronous"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How one sandbox behaves; ``Sandbox`` documents each."""

    dialect: Dialect = "correlated"
    rate_limits: bool = False
    api_key: str | None = None
    logins: Mapping[str, str] = field(default_factory=dict[str, str])
    token_lifetime: float | None = None
    rerun_seconds: float | Callable[[str], float] = 0.0
    failing_users: Collection[str] = ()
    learning_seconds: float = 0.0
    aggregation_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    my_config: bool = False
    legacy: bool = False

    @property
    def guarded(self) -> bool:
        """Whether callers must show a bearer token."""
        return self.api_key is not None or bool(self.logins)


class World:
    """One server's memory."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self.clock = clock
        self.settings = settings
        self.started_at = clock.now()
        self.requests = 0
        self.store = Store(clock)
        self.learning = Learning(clock, self.store, settings.learning_seconds)
        self.generator = Generator(clock, self.store, settings.rerun_seconds, settings.failing_users)
        correlated = settings.dialect == "correlated"
        services = LEGACY_SERVICES if settings.legacy else SERVICES
        self.slots = {service: Slot(clock, service, correlated=correlated) for service in services}
        self.windows = FixedWindows(clock)
        self.configuration = Configuration.fresh(clock)
        self.aggregator = Aggregator(
            clock, self.store, self.configuration, settings.aggregation_seconds, settings.failing_users
        )
        self.grader = Grader(clock, self.store, settings.evaluation_seconds, settings.failing_users)
        self.outcomes = Outcomes()
        self.served = Served()
        self.tool_calls = ToolCalls(clock)
        self.stall = Stall()
        self.braintrust: dict[str, Any] | None = None
        """The connection, if there is one."""
        self._tokens: dict[str, float | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Go on after a restart, with what is on disk alone."""
        self.windows.forget()
        self.served = Served()
        self.grader.jobs.clear()
        for operation in self.aggregator.operations.values():
            if operation.active:
                self.spawn(self.aggregator.work_off(operation))

    def issue_token(self) -> str:
        """A bearer token, good for the configured lifetime."""
        token = f"sandbox-{uuid.uuid4()}"
        lifetime = self.settings.token_lifetime
        self._tokens[token] = None if lifetime is None else self.clock.now() + lifetime
        return token

    def revoke_tokens(self) -> None:
        """Make every token issued so far worthless."""
        self._tokens.clear()

    def accepts(self, bearer: str) -> bool:
        """Whether this credential opens the door now."""
        if bearer and bearer == self.settings.api_key:
            return True
        if bearer not in self._tokens:
            return False
        expires = self._tokens[bearer]
        return expires is None or self.clock.now() < expires

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
