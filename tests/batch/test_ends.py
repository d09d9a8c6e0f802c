"""How a batch ends: stopped while its iterable waits, or by an iterable that ends the program."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import BatchInterrupted, OutcomeState
from reflexio_async.sandbox import faults
from tests.scene import PUBLISH, Scene, scene

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from reflexio_async import Batch


OF_THE_ITERABLE = "of the iterable"


async def quiet(*keys: Any, left: list[str] | None = None) -> AsyncGenerator[Any]:
    """Yield the keys, and wait for more that never come."""
    for key in keys:
        yield key
    try:
        await asyncio.Event().wait()
    finally:
        if left is not None:
            await asyncio.sleep(0)  # as a connection is given back
            left.append("closed")


async def test_stop_ends_a_stream_whose_iterable_waits() -> None:
    async with scene(1) as play:
        async with play.client.rerun_profiles_many(quiet("user-0")) as batch:
            keys: list[str] = []
            async for outcome in batch:
                keys.append(outcome.key)
                batch.stop()
        assert keys == ["user-0"]


async def test_stop_ends_an_awaited_batch_whose_iterable_waits_with_an_interrupted_report() -> None:
    async with scene(1) as play:
        batch = play.client.rerun_profiles_many(quiet("user-0"), upgrade=True)
        play.clock.call_at(play.clock.now() + 60.0, batch.stop)
        report = await batch
        assert (len(report.completed), report.interrupted, report.upgrade) == (1, True, None)


async def test_stop_lets_the_iterable_close_what_it_holds() -> None:
    left: list[str] = []
    async with scene(1) as play:
        batch = play.client.rerun_profiles_many(quiet("user-0", left=left))
        play.clock.call_at(play.clock.now() + 60.0, batch.stop)
        await batch
        assert left == ["closed"]


async def test_a_batch_that_is_stopped_estimates_no_end() -> None:
    async with scene(14, rate_limits=True) as play, play.client.rerun_profiles_many(play.users) as batch:
        await anext(aiter(batch))
        assert batch.progress.eta_seconds is not None
        batch.stop()
        assert batch.progress.eta_seconds is None


async def test_stop_waits_for_what_runs() -> None:
    async with scene(1, rerun_seconds=100.0) as play:
        batch = play.client.rerun_profiles_many(quiet("user-0"))
        play.clock.call_at(play.clock.now() + 10.0, batch.stop)
        report = await batch
        assert [outcome.state for outcome in report] == [OutcomeState.COMPLETED]


async def test_an_iterable_may_stop_its_own_batch() -> None:
    async def source() -> AsyncGenerator[str]:
        yield "user-0"
        made[0].stop()
        yield "user-1"
        await asyncio.Event().wait()

    async with scene(2) as play:
        made: list[Batch[str, Any]] = [play.client.rerun_profiles_many(source())]
        report = await made[0]
        assert [outcome.key for outcome in report.completed] == ["user-0"]
        assert [outcome.key for outcome in report.cancelled] == ["user-1"]


async def test_an_error_of_the_iterable_while_it_is_stopped_interrupts_the_batch() -> None:
    async def source() -> AsyncGenerator[str]:
        yield "user-0"
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionResetError

    async with scene(1) as play:
        batch = play.client.rerun_profiles_many(source())
        play.clock.call_at(play.clock.now() + 60.0, batch.stop)
        with pytest.raises(BatchInterrupted, match="ConnectionResetError") as caught:
            await batch
        assert len(caught.value.report.completed) == 1


async def test_a_caller_that_is_cancelled_in_the_moment_of_stop_is_cancelled() -> None:
    async with scene(1) as play:
        running = asyncio.ensure_future((batch := play.client.rerun_profiles_many(quiet("user-0"))).run())
        await play.clock.sleep(60.0)
        batch.stop()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_fail_fast_ends_a_batch_whose_iterable_waits() -> None:
    async with scene() as play:
        report = await play.client.rerun_profiles_many(quiet("nobody"), fail_fast=True)
        assert [outcome.state for outcome in report] == [OutcomeState.FAILED]


async def test_closing_the_client_ends_a_batch_whose_iterable_waits() -> None:
    async with scene(1, client={"drain_timeout": 5.0}) as play:
        running = asyncio.ensure_future(play.client.rerun_profiles_many(quiet("user-0")).run())
        await play.clock.sleep(60.0)
        await play.client.aclose()
        report = await running
        assert (len(report.completed), report.interrupted) == (1, True)


def ends(play: Scene, kind: type[BaseException]) -> Iterator[str]:  # noqa: ARG001  # as the other one
    yield from ("user-0", "user-1")
    raise kind(OF_THE_ITERABLE)


async def ends_later(play: Scene, kind: type[BaseException]) -> AsyncGenerator[str]:
    yield "user-0"
    yield "user-1"
    await play.clock.sleep(5.0)
    raise kind(OF_THE_ITERABLE)


EXITS = pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])


async def read(batch: Batch[str, Any]) -> None:
    async with batch:
        async for _ in batch:
            pass


@EXITS
@pytest.mark.parametrize("given", [ends, ends_later])
@pytest.mark.parametrize("stream", [False, True], ids=["awaited", "streamed"])
async def test_what_ends_the_program_arrives_as_itself(
    kind: type[BaseException], given: Any, *, stream: bool
) -> None:
    async with scene(2, rerun_seconds=1000.0) as play:
        batch = play.client.rerun_profiles_many(given(play, kind))
        with pytest.raises(kind, match=OF_THE_ITERABLE):
            await (read(batch) if stream else batch)
        assert play.clock.now() < 100.0


@EXITS
async def test_the_log_names_what_was_under_way_with_its_token(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async with scene(2, rerun_seconds=1000.0) as play:
        with pytest.raises(kind):
            await play.client.rerun_profiles_many(ends_later(play, kind))
        [text] = [text for text in caplog.messages if kind.__name__ in text]
        [operation] = play.box.operations()
        assert text.startswith(f"user_ids (0 done): {kind.__name__} ended it; what was sent goes on")
        assert operation.operation_id in text
        assert text.endswith(", user-1")


async def test_queued_starts_are_withdrawn_when_the_iterable_ends_the_program() -> None:
    async with scene(2, rerun_seconds=1000.0) as play:
        with pytest.raises(SystemExit):
            await play.client.rerun_profiles_many(ends_later(play, SystemExit))
        await play.clock.sleep(2000.0)
        assert play.starts() == 1


async def test_a_publish_under_way_is_named_when_the_iterable_ends_the_program(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scene() as play:

        async def source() -> AsyncGenerator[Any]:
            turns = [{"role": "user", "content": "I like tea"}]
            yield {"user_id": "ana", "session_id": "s", "request_id": "r-1", "interactions": turns}
            await play.box.arrived("POST", PUBLISH)
            raise SystemExit

        play.box.faults.add(faults.delay(50.0), path=PUBLISH)
        with pytest.raises(SystemExit):
            await play.client.publish_many(source())
        assert caplog.messages[-1].endswith("Under way were: r-1")
