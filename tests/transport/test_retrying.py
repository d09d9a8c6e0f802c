"""Which calls are retried, how often, and after which delays."""

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
from tests.transport.servers import HANG_UP, WHOAMI, crash, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from reflexio_async.sandbox.fault_script import Action


NOTHING_ADMITTED = [
    pytest.param(faults.rate_limited(), id="429 of the quota"),
    pytest.param(faults.crowded(), id="429 of concurrency"),
    pytest.param(faults.no_capacity(), id="503 without capacity"),
    pytest.param(faults.status(503, {"detail": "Search capacity exhausted"}), id="503 with a reason"),
]
OUTCOME_UNKNOWN = [
    pytest.param(faults.internal_error(), id="500"),
    pytest.param(faults.html(502), id="502"),
    pytest.param(faults.html(503), id="503 without a reason"),
    pytest.param(faults.status(504), id="504"),
    pytest.param(faults.answer_lost(), id="response lost"),
    pytest.param(faults.cut_off(), id="cut off"),
]
FINAL = [pytest.param(faults.status(code), id=str(code)) for code in (400, 401, 403, 404, 405, 409, 413, 422)]


@pytest.mark.parametrize("action", [*NOTHING_ADMITTED, *OUTCOME_UNKNOWN])
async def test_a_repeatable_call_is_retried(
    box: Sandbox, client: AsyncReflexioClient, action: Action
) -> None:
    box.faults.add(action, times=2)
    assert (await client.whoami()).success
    assert box.count("GET", "/api/whoami") == 3


@pytest.mark.parametrize("action", NOTHING_ADMITTED)
async def test_any_call_is_retried_when_the_server_admitted_nothing(
    box: Sandbox, client: AsyncReflexioClient, action: Action
) -> None:
    box.faults.add(action, times=2)
    await client.upgrade_profiles()
    assert box.count("POST", "/api/upgrade_all_profiles") == 3


@pytest.mark.parametrize("action", OUTCOME_UNKNOWN)
async def test_other_calls_are_not_retried_when_the_outcome_is_unknown(
    box: Sandbox, client: AsyncReflexioClient, action: Action
) -> None:
    box.faults.add(action, times=None)
    with pytest.raises(ReflexioError) as caught:
        await client.upgrade_profiles()
    assert isinstance(caught.value, APIConnectionError | ServerError)
    assert caught.value.outcome_unknown
    assert box.count("POST", "/api/upgrade_all_profiles") == 1


@pytest.mark.parametrize("action", FINAL)
async def test_after_other_errors_no_call_is_retried(
    box: Sandbox, client: AsyncReflexioClient, action: Action
) -> None:
    box.faults.add(action, times=None)
    with pytest.raises(APIStatusError) as caught:
        await client.whoami()
    assert not caught.value.outcome_unknown
    assert len(box.requests) == caught.value.attempts == 1


async def test_the_error_has_the_number_of_tries(box: Sandbox, client: AsyncReflexioClient) -> None:
    box.faults.add(faults.internal_error(), times=None)
    with pytest.raises(ServerError) as caught:
        await client.whoami()
    assert len(box.requests) == caught.value.attempts == 5


async def test_with_max_attempts_of_one_there_is_one_try(box: Sandbox, client: AsyncReflexioClient) -> None:
    box.faults.add(faults.internal_error(), times=None)
    with pytest.raises(ServerError) as caught:
        await client.with_options(retry=RetryPolicy(max_attempts=1)).whoami()
    assert len(box.requests) == caught.value.attempts == 1


async def test_a_later_5xx_leaves_an_unknown_outcome_unknown(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.faults.add(faults.answer_lost())
    box.faults.add(faults.no_capacity(), times=None)
    with pytest.raises(ServerError) as caught:
        await client.cancel_operation()
    assert caught.value.outcome_unknown


# --- delays


async def test_the_delays_between_tries_grow(
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


async def test_a_busy_call_is_retried_after_its_retry_after(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.faults.add(faults.crowded(retry_after=3))
    await client.whoami()
    first, second = box.requests
    assert 3 <= second.at - first.at < 4


async def test_a_busy_call_does_not_delay_others(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    box.faults.add(faults.crowded(retry_after=30))
    slow = asyncio.create_task(client.whoami())
    await box.arrived("GET", "/api/whoami")
    await client.whoami()
    assert clock.now() < 1
    await slow
    assert clock.now() >= 30


async def test_a_retry_after_beyond_the_timeout_is_an_error_at_once(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    box.faults.add(faults.status(503, {"detail": "busy"}, headers={"Retry-After": "60"}), times=None)
    with pytest.raises(ServerError) as caught:
        await client.with_options(timeout=10).whoami()
    assert caught.value.retry_after == 60
    assert clock.now() == 0


async def test_all_tries_together_end_at_the_timeout(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    box.faults.add(faults.internal_error(), times=3)
    box.faults.add(faults.freeze(), times=None)
    with pytest.raises(APITimeout):
        await client.with_options(timeout=10).whoami()
    assert clock.now() == pytest.approx(10)


async def test_the_deadline_of_an_endpoint_raises_the_timeout(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.seed("u")
    box.faults.add(faults.delay(400), path="/api/manual_profile_generation")
    response = await client.with_options(timeout=5).manual_profile_generation(
        user_id="u", wait_for_response=True
    )
    assert response.success


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


async def test_calls_one_after_another_are_refused_once(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, rate_limits=True) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client,
    ):
        for _ in range(35):
            await client.cancel_operation()
        assert box.count("POST", "/api/cancel_operation", 429) == 1


async def test_a_limit_that_opens_after_the_timeout_is_an_error_that_says_when(clock: VirtualClock) -> None:
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


async def test_a_limit_on_one_path_does_not_delay_others(clock: VirtualClock) -> None:
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


async def test_a_view_shares_the_learned_limits(clock: VirtualClock) -> None:
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


async def test_a_limit_in_the_headers_is_obeyed(clock: VirtualClock) -> None:
    used_up = reply_with(WHOAMI, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "12"})
    async with (
        raw_server(sequence(used_up, then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
        await client.whoami()
    assert clock.now() == 12


async def test_429s_without_a_limit_are_an_error_after_the_last_try(clock: VirtualClock) -> None:
    busy = reply_with({"detail": "search concurrency limit reached"}, 429)
    async with (
        raw_server(sequence(then=busy)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(RateLimited) as caught:
            await client.whoami()
    assert len(server.arrived) == caught.value.attempts == 5


# --- logs and hooks


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


async def test_on_retry_is_called_for_every_retry(box: Sandbox, client: AsyncReflexioClient) -> None:
    events: list[RetryEvent] = []
    box.faults.add(faults.internal_error(), times=2)
    await client.with_options(on_retry=events.append).whoami()
    assert [(e.method, e.path, e.attempt, e.reason) for e in events] == [
        ("GET", "/api/whoami", 1, "ServerError"),
        ("GET", "/api/whoami", 2, "ServerError"),
    ]
    assert all(event.delay >= 0 for event in events)


async def test_on_request_is_called_for_every_exchange(box: Sandbox, client: AsyncReflexioClient) -> None:
    events: list[RequestEvent] = []
    box.faults.add(faults.internal_error())
    box.faults.add(faults.answer_lost())
    box.faults.add(faults.delay(3))
    await client.with_options(on_request=events.append).whoami()
    assert [(event.status, event.attempt, event.error) for event in events] == [
        (500, 1, None),
        (None, 2, "APIConnectionError"),
        (200, 3, None),
    ]
    assert events[2].seconds == pytest.approx(3)


async def test_an_error_of_a_hook_does_not_break_the_call(
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


async def test_a_call_survives_several_kinds_of_faults(clock: VirtualClock) -> None:
    faulty = (
        crash(),
        HANG_UP,
        reply_with({"detail": "busy"}, 503),
        reply_with({"error": "5 per 1 second"}, 429),
    )
    async with (
        raw_server(sequence(*faulty, then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        assert (await client.whoami()).org_id == "org"
    assert len(server.arrived) == 5


async def test_after_a_bad_request_a_crashed_call_is_not_retried(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(crash(), reply_with({"detail": "no"}, 400))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(BadRequest) as caught:
            await client.whoami()
    assert caught.value.attempts == 2
