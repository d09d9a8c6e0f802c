"""Holding the lease of a lane: it is renewed in the background, and given back at the end."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import anyio

from reflexio_async._engine.logs import fields
from reflexio_async.durable.store import LEASE_SECONDS
from reflexio_async.errors import LeaseLost, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from reflexio_async._engine.clock import Clock
    from reflexio_async.durable.rows import LaneKey, Lease
    from reflexio_async.durable.store import Store

T = TypeVar("T")
logger = logging.getLogger("reflexio_async")


class HeldLease:
    """The lease that this process holds now.

    Attributes:
        lease: The lease, as it was renewed last.
        scope: Cancels the block.
        limiter: What the next holder must know of the rate limits, as JSON; None: as it was.
        waiting_for: Returns why nothing is sent now, as JSON, for those who look at the store.
        give_back: Whether another process may have it at once when the block ends. Otherwise it has to wait
            for the end of the lease.
    """

    def __init__(self, lease: Lease, clock: Clock, is_ours: Callable[[], bool]) -> None:
        self.lease = lease
        self.limiter: str | None = None
        self.waiting_for: Callable[[], str | None] = lambda: None
        self.give_back = True
        self._clock = clock
        self._is_ours = is_ours
        self._ended = False
        self.scope = anyio.CancelScope()

    @property
    def is_over(self) -> bool:
        """Whether another process may hold it now."""
        return self._ended or self._clock.now() >= self.lease.ends_at

    def check(self) -> None:
        """Raise LeaseLost when it is over. This is the last look before bytes leave for the server."""
        lane = self.lease.lane
        if not self._is_ours():
            message = (
                f"the client has another credential now, and lets go of the lane {lane.name} of {lane.url}"
            )
            raise LeaseLost(message)
        if self.is_over:
            message = f"this process held the lane {lane.name} of {lane.url} for too long without renewing it"
            raise LeaseLost(message)

    def lose(self) -> None:
        """Cancel the block, because a write has found that it is over."""
        self.end()
        self.scope.cancel()

    def end(self) -> None:
        """Let nothing more be sent with it: it is lost, or about to be given back."""
        self._ended = True

    async def renew(self, store: Store, seconds: float) -> None:
        """Renew it three times in its lifetime, until it is lost."""
        while not self.is_over and self._is_ours():
            await self._clock.sleep(seconds / 3)
            try:
                self.lease = await store.renew(self.lease, seconds, self.waiting_for())
                await store.prune_sometimes()
            except LeaseLost as error:
                logger.warning(
                    "%s",
                    error,
                    extra=fields("lease_lost", error, service=self.lease.lane.name, url=self.lease.lane.url),
                )
                self.end()
            except StoreError as error:
                logger.warning(
                    "a lease could not be renewed: %s",
                    error,
                    extra=fields("lease_lost", error, service=self.lease.lane.name, url=self.lease.lane.url),
                )


@asynccontextmanager
async def hold(
    store: Store,
    lane: LaneKey,
    holder: str,
    clock: Clock,
    *,
    seconds: float = LEASE_SECONDS,
    is_ours: Callable[[], bool] = lambda: True,
    at_once: bool = True,
) -> AsyncGenerator[HeldLease | None]:
    """Hold the lease of ``lane`` while the block runs. The block gets None when another holder has it.

    Args:
        store: The store.
        lane: The lane.
        holder: A name for this process.
        clock: The client's clock.
        seconds: How long the lease lasts that is not renewed.
        is_ours: Whether the client's credential is still that of the lane.
        at_once: As in ``Store.acquire``.

    Raises:
        LeaseLost: It was lost, and the block was cancelled.
    """
    acquiring = asyncio.get_running_loop().create_task(store.acquire(lane, holder, seconds, at_once=at_once))
    try:
        lease = await asyncio.shield(acquiring)
    except asyncio.CancelledError:
        with suppress(StoreError):
            taken = await _finished(acquiring)
            if taken is not None:
                await _release(store, taken)
        raise
    if lease is None:
        yield None
        return
    held = HeldLease(lease, clock, is_ours)
    renewal = asyncio.get_running_loop().create_task(held.renew(store, seconds), name=f"lease {lane.name}")
    renewal.add_done_callback(lambda _: held.scope.cancel())
    try:
        with held.scope:
            yield held
    finally:
        renewal.cancel()
        if held.give_back:
            with suppress(StoreError):
                await _release(store, held.lease, held.limiter)
    if held.scope.cancelled_caught:
        held.check()


async def _release(store: Store, lease: Lease, limiter: str | None = None) -> None:
    """Give ``lease`` back, although the task is cancelled: otherwise all wait for the end of the lease."""
    await _finished(asyncio.get_running_loop().create_task(store.release(lease, limiter)))


async def _finished(task: asyncio.Task[T]) -> T:
    """The result of ``task``. A cancellation of the caller is raised when ``task`` has ended."""
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()
