"""A batch that is left while starts are under way, on a server that answers a start when the job is done."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import DrainSummary, JobLost, OutcomeState
from reflexio_async.sandbox import faults
from tests.scene import RERUN, Scene, scene

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from reflexio_async import Batch, BatchProgress
    from reflexio_async.sandbox.http.context import RequestContext
    from reflexio_async.sandbox.http.responses import Response

SECONDS = 10.0  # of one rerun


@asynccontextmanager
async def three_at_once(**more: Any) -> AsyncGenerator[Scene]:
    """A scene of ten users whose server is known, so that a batch sends three starts at once."""
    async with scene(10, dialect="synchronous", rerun_seconds=SECONDS, **more) as play:
        await play.client.rerun_profile_generation(user_id=play.users.pop())
        yield play


def batch_of(play: Scene, **options: Any) -> Batch[str, Any]:
    return play.client.rerun_profiles_many(play.users, concurrency=3, **options)


async def cancelled(running: asyncio.Task[Any]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_batch_that_is_cancelled_ends_at_once() -> None:
    async with three_at_once() as play:
        running = asyncio.create_task(batch_of(play).run())
        await play.clock.sleep(1.0)
        before = play.clock.now()
        await cancelled(running)
        assert play.clock.now() == before


@pytest.mark.parametrize("streamed", [False, True], ids=["awaited", "streamed"])
async def test_starts_that_were_sent_are_answered_once_and_closing_waits_for_them(*, streamed: bool) -> None:
    async def read(batch: Batch[str, Any]) -> None:
        if not streamed:
            await batch
        async with batch:
            async for _ in batch:
                pass

    async with three_at_once() as play:
        running = asyncio.create_task(read(batch_of(play)))
        await play.clock.sleep(1.0)
        await cancelled(running)
        assert await play.client.aclose() == DrainSummary()
        assert (play.clock.now(), play.starts(), play.starts(200)) == (2 * SECONDS, 4, 4)


async def test_nothing_is_started_after_it_was_left() -> None:
    async with three_at_once() as play:
        async with batch_of(play) as batch:
            await anext(aiter(batch))
        await play.clock.sleep(10 * SECONDS)
        assert play.starts() == 1 + 3 + 3


async def test_nothing_is_reported_after_it_was_left() -> None:
    async with three_at_once() as play:
        reported: list[BatchProgress] = []
        running = asyncio.create_task(batch_of(play, on_progress=reported.append).run())
        await play.clock.sleep(1.0)
        await cancelled(running)
        await play.clock.sleep(10 * SECONDS)
        assert [progress.done for progress in reported] == [0]


class _RefusedLater:
    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:
        await context.wait(5.0)
        return await faults.rate_limited().play(context, serve)


async def test_a_start_that_is_refused_after_it_was_left_is_not_sent_again() -> None:
    async with three_at_once() as play:
        play.box.faults.add(_RefusedLater(), path=RERUN, times=3)
        running = asyncio.create_task(batch_of(play).run())
        await play.clock.sleep(1.0)
        await cancelled(running)
        await play.clock.sleep(10 * SECONDS)
        assert play.starts() == 1 + 3


async def test_closing_at_once_names_the_starts_and_their_outcomes_are_unknown() -> None:
    async with three_at_once() as play:
        running = asyncio.create_task(batch_of(play).run())
        await play.clock.sleep(1.0)
        summary = await play.client.aclose(drain=False)
        assert [name.partition("(")[2] for name in summary.unsent_starts] == [
            f"user_id={user}) (sent, not answered)" for user in play.users[:3]
        ]
        report = await running
        assert [type(outcome.error) for outcome in report.lost] == [JobLost] * 3
        assert report.counts() == {"lost": 3, "cancelled": 6}
        assert play.clock.now() == SECONDS + 1.0


async def test_closing_at_once_after_it_was_left_names_the_starts() -> None:
    async with three_at_once() as play:
        running = asyncio.create_task(batch_of(play).run())
        await play.clock.sleep(1.0)
        await cancelled(running)
        summary = await play.client.aclose(drain=False)
        assert len(summary.unsent_starts) == 3
        assert play.clock.now() == SECONDS + 1.0


async def test_an_iterable_that_ends_the_program_does_not_wait_for_the_starts() -> None:
    def source() -> Iterator[str]:
        yield from play.users[:2]
        raise KeyboardInterrupt

    async with three_at_once() as play:
        with pytest.raises(KeyboardInterrupt):
            await play.client.rerun_profiles_many(source(), concurrency=3)
        assert play.clock.now() == SECONDS
        await play.client.aclose()
        assert play.starts(200) == 3


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_under_eager_tasks_starts_that_were_sent_are_answered() -> None:
    async with three_at_once() as play:
        loop: Any = asyncio.get_running_loop()
        loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  # 3.11 has none
        running = asyncio.create_task(batch_of(play).run())
        await play.clock.sleep(1.0)
        await cancelled(running)
        assert await play.client.aclose() == DrainSummary()
        assert (play.starts(), play.starts(200)) == (4, 4)


async def test_a_batch_that_is_stopped_waits_for_the_starts_that_were_sent() -> None:
    async with three_at_once() as play:
        running = asyncio.create_task((batch := batch_of(play)).run())
        await play.clock.sleep(1.0)
        batch.stop()
        report = await running
        assert [outcome.state for outcome in report][:3] == [OutcomeState.COMPLETED] * 3
        assert report.counts() == {"completed": 3, "cancelled": 6}


async def test_a_loop_that_ends_names_the_starts() -> None:
    async with three_at_once() as play:
        running = asyncio.create_task(batch_of(play).run())
        await play.clock.sleep(1.0)
        workers = [task for task in asyncio.all_tasks() if task.get_name() == "user_ids"]
        for task in [running, *workers]:  # as ``asyncio.run`` does
            task.cancel()
        await asyncio.wait([running, *workers])
        assert running.cancelled()
        assert len((await play.client.aclose(drain=False)).unsent_starts) == 3
