"""The base of both clients: views over shared parts, and closing them together."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, Unpack

from pydantic import TypeAdapter

from reflexio_async._engine.engine import API
from reflexio_async._engine.settings import ViewOptions, check_names

if TYPE_CHECKING:
    from types import TracebackType

    from reflexio_async._engine.engine import Engine
    from reflexio_async._engine.http import ConnectionPool
    from reflexio_async._engine.jobs.manager import JobManager

logger = logging.getLogger("reflexio_async")

_NAMED = 20  # starts and calls in a log record


@dataclass(frozen=True, slots=True)
class DrainSummary:
    """What closing a client left undone: names of starts that were not sent and of calls not answered."""

    unsent_starts: tuple[str, ...] = ()
    unfinished_calls: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing was left undone."""
        return not self.unsent_starts and not self.unfinished_calls


class BaseClient(API):
    """What both clients are: parts that their views share, until they are closed together."""

    _pool: ConnectionPool
    _managers: list[JobManager]

    def _set_up(self, engine: Engine, pool: ConnectionPool) -> None:
        # Pydantic looks for plugins on disk when the first model of a process is built: now, not in a call.
        TypeAdapter(int)
        self._engine = engine
        self._pool = pool
        self._managers = [engine.jobs]

    def with_options(self, **options: Unpack[ViewOptions]) -> Self:
        """A view with other options. It shares connections, login, lanes and rate limits with this client.

        Raises:
            ConfigurationError: There is no such option, or its value is unusable.
        """
        check_names(options, ViewOptions.__optional_keys__)
        return self._with_settings(self._engine.settings.with_options(**options))

    @property
    def base_url(self) -> str:
        """The server's address."""
        return self._engine.settings.base_url

    async def aclose(self, *, drain: bool = True) -> DrainSummary:
        """Close the client; views share its end.

        Unless ``drain`` is False, queued starts are sent and background calls finished first, within
        ``drain_timeout`` seconds. What did not finish is logged, and named in the summary.
        """
        tasks, managers = self._engine.tasks, self._managers
        try:
            if drain and self._unfinished:
                await self._drain(self._engine.settings.drain_timeout)
        finally:
            unsent = [name for jobs in managers for name in jobs.abandon("the client was closed")]
            summary = DrainSummary(tuple(unsent), tuple(tasks.unfinished_calls))
            if not summary.complete:
                logger.warning(
                    "closed with work undone: starts not sent: %s; calls not answered: %s",
                    _some_of(summary.unsent_starts),
                    _some_of(summary.unfinished_calls),
                )
            await tasks.aclose()
            await self._pool.aclose()
        return summary

    @property
    def _unfinished(self) -> bool:
        return bool(self._engine.tasks.unfinished_calls) or any(jobs.busy for jobs in self._managers)

    async def _drain(self, seconds: float) -> None:
        engine = self._engine
        try:
            async with engine.caller.clock.timeout(seconds):
                while self._unfinished:
                    for jobs in self._managers:
                        await jobs.drained()
                    await engine.tasks.calls_finished()
        except TimeoutError:
            pass  # the summary names what was left

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose(drain=kind is None)


def _some_of(names: tuple[str, ...]) -> str:
    """The first few by name, so that a large batch does not fill the log; the summary has them all."""
    shown = ", ".join(names[:_NAMED]) or "none"
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
