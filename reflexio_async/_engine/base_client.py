"""The base of both clients: views with other options, and closing."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, Unpack

from pydantic import TypeAdapter

from reflexio_async._engine.drain_summary import DrainSummary
from reflexio_async._engine.engine import API
from reflexio_async._engine.logs import fields
from reflexio_async._engine.settings import ViewOptions, check_view_options
from reflexio_async.errors import StoreError

if TYPE_CHECKING:
    from types import TracebackType

    from reflexio_async._engine.engine import Engine

logger = logging.getLogger("reflexio_async")


class BaseClient(API):
    """A client. Its views share its connections, tasks and jobs, and are closed with it."""

    def _set_up(self, engine: Engine) -> None:
        # Pydantic looks for plugins on disk when the first model of a process is built. Let that happen now,
        # and not in a call, where it would block the event loop.
        TypeAdapter(int)
        self._engine = engine

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
        """Close the client, with all its views. What callers wait for is finished before.

        On a view (``with_options``, ``with_project``, ``client.reflect``) this does nothing: only the client
        that was made can be closed.

        Args:
            drain: Before closing, finish the calls and batches under way, send the queued starts and finish
                the background calls, within ``drain_timeout`` seconds. False: cut them short. Jobs at the
                server go on in both cases.

        Returns:
            What was not finished. It is also logged.

        Raises:
            ConfigurationError: The client belongs to another event loop, which is still open.
        """
        if self._is_view:
            return DrainSummary()
        loops = self._engine.loops
        loops.check()
        stored: dict[str, Any] = {}  # fields of the summary
        try:
            if drain:
                await self._drain(self._engine.settings.drain_timeout)
            for sender in loops.senders:
                with suppress(StoreError):
                    stored |= await sender.stored()
        finally:
            scope, summary = loops.close()
            summary = summary._replace(**stored)
            if not summary.complete:
                logger.warning(
                    "%s was closed with unfinished work: %s",
                    loops.name,
                    summary.as_text(),
                    extra=fields("client_closed", url=self.base_url),
                )
            elif summary.as_text():
                logger.info(
                    "%s was closed: %s",
                    loops.name,
                    summary.as_text(),
                    extra=fields("client_closed", url=self.base_url),
                )
            await scope.aclose()
        return summary

    async def _drain(self, seconds: float) -> None:
        loops = self._engine.loops
        under_way = loops.under_way()
        if not self._is_at_work():
            return
        awaited = under_way._replace(running_jobs=()).as_text() or "the answers to what was sent"
        logger.info(
            "closing %s: waiting up to %g s for %s",
            loops.name,
            seconds,
            awaited,
            extra=fields("client_closing", url=self.base_url, seconds=seconds),
        )
        try:
            async with self._engine.caller.clock.timeout(seconds):
                # What the end of the loop has cut off stays incomplete, and nothing is to be waited for.
                while not loops.under_way().complete and self._is_at_work():
                    await loops.scope.finished()
                    await self._drain_senders()
                await self._drain_senders()  # what is in a store counts as complete
        except TimeoutError:
            pass  # the summary names what is left

    def _is_at_work(self) -> bool:
        loops = self._engine.loops
        return loops.scope.busy or any(sender.busy for sender in loops.senders)

    async def _drain_senders(self) -> None:
        for sender in self._engine.loops.senders:
            if sender.busy:
                await sender.drained()

    async def __aenter__(self) -> Self:
        self._engine.loops.enter()
        if self._engine.durable is not None:
            try:
                await self._engine.durable.open()
            except BaseException:
                await self.aclose(drain=False)
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose(drain=kind is None)
