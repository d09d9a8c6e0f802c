"""What is sent again, how often, and how patiently."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    APIStatusError,
    APITimeout,
    AsyncReflexioClient,
    BadRequest,
    RateLimited,
    ReflexioError,
    RequestEvent,
    RetryEvent,
    RetryPolicy,
    ServerError,
)
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.transport.servers import HANG_UP, WHOAMI, answer, crash, raw_server, sequence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reflexio_async.sandbox.faults import Action


@pytest.fixture
async def box(clock: VirtualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=clock) as box:
        yield box


@pytest.fixture
async def client(box: Sandbox, clock: VirtualClock) -> AsyncIterator[AsyncReflexioClient]:
    async with AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        yield client


SAYS_NOTHING_HAPPENED = [
    pytest.param(faults.rate_limited(), id="429 of the quota"),
    pytest.param(faults.crowded(), id="429 of concurrency"),
    pytest.param(faults.no_capacity(), id="503 without capacity"),
    pytest.param(faults.status(503, {"detail": "Search capacity exhausted"}), id="503 with a reason"),
]
LEAVES_IT_OPEN = [
    pytest.param(faults.internal_error(), id="500"),
    pytest.param(faults.html(502), id="502"),
    pytest.param(faults.html(503), id="503 without a reason"),
    pytest.param(faults.status(504), id="504"),
    pytest.param(faults.answer_lost(), id="answer lost"),
    pytest.param(faults.cut_off(), id="cut off"),
]
FINAL = [pytest.param(faults.status(code), id=str(code)) for code in (400, 401, 403, 404, 405, 409, 413, 422)]


@pytest.mark.parametrize("action", [*SAYS_NOTHING_HAPPENED, *LEAVES_IT_OPEN])
async def test_a_repeatable_call_survives(box: Sandbox, client: AsyncReflexioClient, action: Action) -> None:
    box.faults.add(action, times=2)
    assert (await client.whoami()).success
    assert box.count("GET", "/api/whoami") == 3


@pytest.mark.parametrize("action", SAYS_NOTHING_HAPPENED)
async def test_any_call_survives_when_the_server_says_that_nothing_happened(
    box: Sandbox, client: AsyncReflexioClient, action: Action
) -> None:
    box.faults.add(action, times=2)
    await client.upgrade_profiles()
    assert box.count("POST", "/api/upgrade_all_profiles") == 3


@pytest.mark.parametrize("action", LEAVES_IT_OPEN)
async def test_other_calls_are_not_sent_again_when_it_is_open_what_happened(
    box: Sandbox, client: AsyncReflexioClient, action: Action
) -> None:
    box.faults.add(action, times=None)
    with pytest.raises(ReflexioError) as caught:
        await client.upgrade_profiles()
    assert isinstance(caught.value, APIConnectionError | ServerError)
    assert caught.value.outcome_unknown
    assert box.count("POST", "/api/upgrade_all_profiles") == 1


@pytest.mark.parametrize("action", FINAL)
async def test_other_errors_are_final(box: Sandbox, client: AsyncReflexioClient, action: Action) -> None:
    box.faults.add(action, times=None)
    with pytest.raises(APIStatusError) as caught:
        await client.whoami()
    assert not caught.value.outcome_unknown
    assert len(box.requests) == caught.value.attempts == 1


async def test_tries_are_counted_in_the_error(box: Sandbox, client: AsyncReflexioClient) -> None:
    box.faults.add(faults.internal_error(), times=None)
    with pytest.raises(ServerError) as caught:
        await client.whoami()
    assert len(box.requests) == caught.value.attempts == 5


async def test_one_try_is_one_try(box: Sandbox, client: AsyncReflexioClient) -> None:
    box.faults.add(faults.internal_error(), times=None)
    with pytest.raises(ServerError) as caught:
        await client.with_options(retry=RetryPolicy(max_attempts=1)).whoami()
    assert len(box.requests) == caught.value.attempts == 1


async def test_a_5xx_after_an_open_outcome_leaves_it_open(box: Sandbox, client: AsyncReflexioClient) -> None:
    box.faults.add(faults.answer_lost())
    box.faults.add(faults.no_capacity(), times=None)
    with pytest.raises(ServerError) as caught:
        await client.cancel_operation()
    assert caught.value.outcome_unknown


# --- how patiently


async def test_tries_are_spaced_by_growing_delays(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    box.faults.add(faults.internal_error(), times=None)
    policy = RetryPolicy(max_attempts=6, base_delay=1, max_delay=4)
    with pytest.raises(ServerError):
        await client.with_options(retry=policy).whoami()
    times = [record.at for record in box.requests]
    gaps = [after - before for before, after in pairwise(times)]
    assert all(0 <= gap <= bound for gap, bound in zip(gaps, (1, 2, 4, 4, 4), strict=True))
    assert clock.now() > 0


@pytest.mark.parametrize("named", ["7", "Wed, 18 Nov 2026 11:06:47 GMT"], ids=["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(
    box: Sandbox, client: AsyncReflexioClient, status: int, named: str
) -> None:
    box.faults.add(faults.status(status, {"detail": "busy"}, headers={"Retry-After": named}))
    await client.whoami()
    first, second = box.requests
    assert second.at - first.at >= 7
    assert second.at - first.at <= 10


async def test_a_crowded_route_is_tried_again_when_the_server_says(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.faults.add(faults.crowded(retry_after=3))
    await client.whoami()
    first, second = box.requests
    assert 3 <= second.at - first.at < 4


async def test_crowding_on_one_call_does_not_hold_up_others(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    box.faults.add(faults.crowded(retry_after=30))
    slow = asyncio.create_task(client.whoami())
    await box.arrived("GET", "/api/whoami")
    await client.whoami()
    assert clock.now() < 1
    await slow
    assert clock.now() >= 30


async def test_a_retry_after_beyond_the_calls_time_is_not_waited_for(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    box.faults.add(faults.status(503, {"detail": "busy"}, headers={"Retry-After": "60"}), times=None)
    with pytest.raises(ServerError) as caught:
        await client.with_options(timeout=10).whoami()
    assert caught.value.retry_after == 60
    assert clock.now() == 0


async def test_all_tries_together_take_no_longer_than_the_timeout(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    box.faults.add(faults.internal_error(), times=3)
    box.faults.add(faults.freeze(), times=None)
    with pytest.raises(APITimeout):
        await client.with_options(timeout=10).whoami()
    assert clock.now() == pytest.approx(10)


async def test_a_slow_route_gets_the_time_it_needs(box: Sandbox, client: AsyncReflexioClient) -> None:
    box.seed("u")
    box.faults.add(faults.delay(400), path="/api/manual_profile_generation")
    answered = await client.with_options(timeout=5).manual_profile_generation(
        user_id="u", wait_for_response=True
    )
    assert answered.success


# --- rate limits


async def test_a_known_limit_is_waited_for(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, rate_limits=True) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client,
    ):
        await asyncio.gather(*(client.cancel_operation() for _ in range(25)))
        path = "/api/cancel_operation"
        assert (box.count("POST", path, 200), box.count("POST", path, 429)) == (25, 15)
        assert 120 < clock.now() < 122


async def test_calls_one_after_another_cost_one_refusal(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, rate_limits=True) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client,
    ):
        for _ in range(35):
            await client.cancel_operation()
        assert box.count("POST", "/api/cancel_operation", 429) == 1


async def test_a_limit_that_opens_too_late_is_an_error_that_says_when(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, rate_limits=True) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock, timeout=20) as client,
    ):
        for _ in range(10):
            await client.cancel_operation()
        for _ in range(2):
            with pytest.raises(
                RateLimited, match=r"10 per 60 s.*opens again in 60 s.*20 s at most"
            ) as caught:
                await client.cancel_operation()
            assert caught.value.retry_after == pytest.approx(60.25)
        assert clock.now() == 0
        assert box.count("POST", "/api/cancel_operation") == 11


async def test_422s_do_not_use_up_a_limit(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, rate_limits=True) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client,
    ):
        for _ in range(11):
            await client.cancel_operation()
        used = clock.now()
        box.faults.add(faults.status(422), times=30)
        for _ in range(30):
            with pytest.raises(APIStatusError):
                await client.cancel_operation()
        for _ in range(9):
            await client.cancel_operation()
        assert clock.now() == used


async def test_a_limit_on_one_path_holds_up_no_other(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, rate_limits=True) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client,
    ):
        waiting = [asyncio.create_task(client.cancel_operation()) for _ in range(15)]
        await box.arrived("POST", "/api/cancel_operation", 15)
        for _ in range(100):
            await client.get_operation_status()
        assert clock.now() == 0
        await asyncio.gather(*waiting)


async def test_a_view_shares_what_was_learned(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, rate_limits=True) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client,
    ):
        for _ in range(11):
            await client.cancel_operation()
        view = client.with_options(timeout=200)
        for _ in range(19):
            await view.cancel_operation()
        assert box.count("POST", "/api/cancel_operation", 429) == 1


async def test_a_quota_in_the_headers_is_heeded(clock: VirtualClock) -> None:
    used_up = answer(WHOAMI, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "12"})
    async with (
        raw_server(sequence(used_up, then=answer(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
        await client.whoami()
    assert clock.now() == 12


async def test_429s_without_an_end_give_up_after_the_last_try(clock: VirtualClock) -> None:
    crowded = answer({"detail": "search concurrency limit reached"}, 429)
    async with (
        raw_server(sequence(then=crowded)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(RateLimited) as caught:
            await client.whoami()
    assert len(server.arrived) == caught.value.attempts == 5


# --- who is told


async def test_every_retry_is_logged_without_payloads(
    box: Sandbox, client: AsyncReflexioClient, caplog: pytest.LogCaptureFixture
) -> None:
    box.faults.add(faults.internal_error(), times=2)
    with caplog.at_level(logging.INFO, "reflexio_async"):
        await client.get_profiles(user_id="MARKER")
    retries = [record for record in caplog.records if record.name == "reflexio_async"]
    assert [record.levelname for record in retries] == ["INFO", "INFO"]
    assert "POST /api/get_profiles: try 1 failed (ServerError)" in retries[0].getMessage()
    assert "try 2 failed" in retries[1].getMessage()
    assert "MARKER" not in caplog.text


async def test_a_hook_hears_of_every_retry(box: Sandbox, client: AsyncReflexioClient) -> None:
    heard: list[RetryEvent] = []
    box.faults.add(faults.internal_error(), times=2)
    await client.with_options(on_retry=heard.append).whoami()
    assert [(e.method, e.path, e.attempt, e.reason) for e in heard] == [
        ("GET", "/api/whoami", 1, "ServerError"),
        ("GET", "/api/whoami", 2, "ServerError"),
    ]
    assert all(event.delay >= 0 for event in heard)


async def test_a_hook_hears_of_every_exchange(box: Sandbox, client: AsyncReflexioClient) -> None:
    heard: list[RequestEvent] = []
    box.faults.add(faults.internal_error())
    box.faults.add(faults.answer_lost())
    box.faults.add(faults.delay(3))
    await client.with_options(on_request=heard.append).whoami()
    assert [(event.status, event.attempt, event.error) for event in heard] == [
        (500, 1, None),
        (None, 2, "APIConnectionError"),
        (200, 3, None),
    ]
    assert heard[2].seconds == pytest.approx(3)


async def test_hooks_that_fail_break_no_call(
    box: Sandbox, client: AsyncReflexioClient, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(event: Any) -> None:
        raise RuntimeError(event.path)

    box.faults.add(faults.internal_error())
    assert (await client.with_options(on_request=hook, on_retry=hook).whoami()).success
    assert caplog.messages.count("the on_request hook failed") == 2
    assert caplog.messages.count("the on_retry hook failed") == 1


async def test_a_call_cancelled_between_two_tries_ends_at_once(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.faults.add(faults.status(503, {"detail": "busy"}, headers={"Retry-After": "100"}), times=None)
    call = asyncio.create_task(client.whoami())
    await box.arrived("GET", "/api/whoami")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(box.requests) == 1


async def test_a_mixture_of_mishaps_is_survived(clock: VirtualClock) -> None:
    mishaps = (crash(), HANG_UP, answer({"detail": "busy"}, 503), answer({"error": "5 per 1 second"}, 429))
    async with (
        raw_server(sequence(*mishaps, then=answer(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        assert (await client.whoami()).org_id == "org"
    assert len(server.arrived) == 5


async def test_a_bad_request_after_a_crash_is_final(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(crash(), answer({"detail": "no"}, 400))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(BadRequest) as caught:
            await client.whoami()
    assert caught.value.attempts == 2
