"""The base of both clients: views with other options, and closing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple, Self, Unpack

from pydantic import TypeAdapter

from reflexio_async._engine.engine import API
from reflexio_async._engine.loops import first_of
from reflexio_async._engine.settings import ViewOptions, check_view_options

if TYPE_CHECKING:
    from types import TracebackType

    from reflexio_async._engine.engine import Engine
    from reflexio_async._engine.jobs.manager import JobManager

logger = logging.getLogger("reflexio_async")


class DrainSummary(NamedTuple):
    """What was not finished when a client was closed.

    Attributes:
        unsent_starts: The names of the starts that were not sent.
        unfinished_calls: The names of the background calls that had no response.
    """

    unsent_starts: tuple[str, ...] = ()
    unfinished_calls: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything was finished."""
        return not self.unsent_starts and not self.unfinished_calls


class BaseClient(API):
    """A client. Its views share its connections, tasks and jobs, and are closed with it."""

    _managers: list[JobManager]

    def _set_up(self, engine: Engine) -> None:
        # Pydantic looks for plugins on disk when the first model of a process is built. Let that happen now,
        # and not in a call, where it would block the event loop.
        TypeAdapter(int)
        self._engine = engine
        self._managers = [engine.jobs]

    def with_options(self, **options: Unpack[ViewOptions]) -> Self:
        """Return a view with other options. It shares connections, login, lanes and rate limits.

        Args:
            options: See ``ViewOptions``. Options that are not given stay as they are.

        Raises:
            ConfigurationError: There is no such option, it belongs to the whole client, or its value is
                unusable.
        """
        check_view_options(options, type(self))
        return self._with_settings(self._engine.settings.with_options(**options))

    @property
    def base_url(self) -> str:
        """The server's address."""
        return self._engine.settings.base_url

    async def aclose(self, *, drain: bool = True) -> DrainSummary:
        """Close the client and all its views.

        Args:
            drain: Before closing, send the queued starts and finish the background calls, within
                ``drain_timeout`` seconds.

        Returns:
            What was not finished. It is also logged.

        Raises:
            ConfigurationError: The client belongs to another event loop, which is still open.
        """
        loops = self._engine.loops
        loops.check()
        try:
            if drain and self._has_work:
                await self._drain(self._engine.settings.drain_timeout)
        finally:
            scope, starts, calls = loops.close()
            summary = DrainSummary(tuple(starts), tuple(calls))
            if not summary.complete:
                logger.warning(
                    "closed with unfinished work: starts not sent: %s; calls without a response: %s",
                    first_of(summary.unsent_starts),
                    first_of(summary.unfinished_calls),
                )
            await scope.aclose()
        return summary

    @property
    def _has_work(self) -> bool:
        return bool(self._engine.tasks.unfinished_calls) or any(jobs.busy for jobs in self._managers)

    async def _drain(self, seconds: float) -> None:
        engine = self._engine
        try:
            async with engine.caller.clock.timeout(seconds):
                while self._has_work:
                    for jobs in self._managers:
                        await jobs.drained()
                    await engine.tasks.calls_finished()
        except TimeoutError:
            pass  # the summary names what is left

    async def __aenter__(self) -> Self:
        self._engine.loops.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose(drain=kind is None)
