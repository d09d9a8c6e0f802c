"""A handle, or the response: the ways to call what outlives its HTTP call."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import BackgroundCall, InvalidRequest, Job, JobTimeout
from reflexio_async.reflexio.models.operations import (
    ManualProfileGenerationResponse,
    RerunProfileGenerationRequest,
    RerunProfileGenerationResponse,
    RerunProfileGenerationWait,
)
from reflexio_async.reflexio.models.profiles import DeleteUserProfileResponse
from reflexio_async.sandbox import faults
from tests.endpoints.calls import CALLS, Call

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient
    from reflexio_async.sandbox import Sandbox, VirtualClock

Loose = Any


async def test_a_rerun_is_a_job(client: AsyncReflexioClient) -> None:
    job = await client.rerun_profile_generation(user_id="u")
    assert isinstance(job, Job)
    assert isinstance(await job, RerunProfileGenerationResponse)


async def test_waiting_inside_the_call_gives_the_response(client: AsyncReflexioClient) -> None:
    response = await client.rerun_profile_generation(user_id="u", wait_for_response=True)
    assert isinstance(response, RerunProfileGenerationResponse)


async def test_not_waiting_can_be_said_too(client: AsyncReflexioClient) -> None:
    assert isinstance(await client.rerun_profile_generation(user_id="u", wait_for_response=False), Job)


async def test_waiting_can_be_said_beside_a_request(box: Sandbox, client: AsyncReflexioClient) -> None:
    for call in (
        client.rerun_profile_generation({"user_id": "u"}, wait_for_response=True, wait_timeout=60),
        client.rerun_profile_generation(RerunProfileGenerationRequest(user_id="u"), wait_for_response=True),
        client.rerun_profile_generation({"user_id": "u"}, True),  # noqa: FBT003  # as the official client has it
    ):
        assert isinstance(await call, RerunProfileGenerationResponse)
    assert [record.body for record in box.requests if record.method == "POST"] == [{"user_id": "u"}] * 3


async def test_waiting_can_be_said_in_a_request(box: Sandbox, client: AsyncReflexioClient) -> None:
    for request in (
        {"user_id": "u", "wait_for_response": True, "wait_timeout": 60},
        RerunProfileGenerationWait(user_id="u", wait_for_response=True, wait_timeout=60),
    ):
        assert isinstance(await client.rerun_profile_generation(request), RerunProfileGenerationResponse)
    assert [record.body for record in box.requests if record.method == "POST"] == [{"user_id": "u"}] * 2


async def test_what_is_said_beside_a_request_counts_more_than_what_is_in_it(
    client: AsyncReflexioClient,
) -> None:
    request = {"user_id": "u", "wait_for_response": True}
    assert isinstance(await client.rerun_profile_generation(request, wait_for_response=False), Job)


async def test_a_plain_function_waits_too(client: AsyncReflexioClient) -> None:
    call = await client.delete_profile("u", "p")
    assert isinstance(call, BackgroundCall)
    assert isinstance(await call, DeleteUserProfileResponse)
    waited = await client.delete_profile("u", "p", wait_for_response=True)
    assert isinstance(waited, DeleteUserProfileResponse)


async def test_a_manual_generation_is_a_background_call(client: AsyncReflexioClient) -> None:
    call = await client.manual_profile_generation(user_id="u")
    assert isinstance(call, BackgroundCall)
    assert isinstance(await call, ManualProfileGenerationResponse)


async def test_a_manual_generation_can_be_waited_for(client: AsyncReflexioClient) -> None:
    response = await client.manual_profile_generation(user_id="u", wait_for_response=True)
    assert isinstance(response, ManualProfileGenerationResponse)


async def test_a_background_call_is_under_way_before_it_is_awaited(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await client.manual_profile_generation(user_id="u")
    await box.arrived("POST", "/api/manual_profile_generation")


async def test_the_options_of_waiting_do_not_reach_the_server(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await client.rerun_profile_generation(
        user_id="u", wait_for_response=True, poll_interval=0.5, wait_timeout=60
    )
    [start] = [record for record in box.requests if record.method == "POST"]
    assert (start.body, dict(start.query)) == ({"user_id": "u"}, {})


async def test_a_slow_call_asks_the_server_for_more_time(box: Sandbox, client: AsyncReflexioClient) -> None:
    await client.manual_profile_generation(user_id="u", wait_for_response=True)
    [start] = [record for record in box.requests if record.method == "POST"]
    assert (start.body, dict(start.query)) == ({"user_id": "u"}, {"wait_for_response": "true"})


async def test_the_interval_of_this_wait_is_kept(box: Sandbox, client: AsyncReflexioClient) -> None:
    box.seed("slow")
    await client.rerun_profile_generation(user_id="slow", wait_for_response=True, poll_interval=0.75)
    times = [record.at for record in box.requests if record.method == "GET"][1:]
    assert all(after - before >= 0.75 for before, after in pairwise(times))


async def test_a_wait_that_runs_out_holds_the_token(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    box.start_foreign_operation("playbook_generation", seconds=1000)
    with pytest.raises(JobTimeout):
        await client.rerun_playbook_generation(wait_for_response=True, wait_timeout=5)
    assert clock.now() == pytest.approx(5)


@pytest.mark.parametrize(
    "value", [-0.001, -1, math.nan, math.inf, True, "1", 10**400], ids=lambda value: f"{value!r:.10}"
)
@pytest.mark.parametrize("name", ["poll_interval", "wait_timeout"])
@pytest.mark.parametrize("call", ["rerun_profile_generation", "manual_profile_generation"])
async def test_a_bad_duration_is_named_before_any_io(
    box: Sandbox, client: Loose, call: str, name: str, value: Any
) -> None:
    with pytest.raises(InvalidRequest, match=name):
        await getattr(client, call)(user_id="u", wait_for_response=True, **{name: value})
    assert box.requests == []


@pytest.mark.parametrize("option", [{"poll_interval": 1}, {"wait_timeout": 1}], ids=str)
@pytest.mark.parametrize("call", ["rerun_profile_generation", "manual_profile_generation"])
async def test_options_of_waiting_without_waiting_are_refused(
    box: Sandbox, client: Loose, call: str, option: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match=r"wait_for_response=True or job\.result"):
        await getattr(client, call)(user_id="u", **option)
    assert box.requests == []


@pytest.mark.parametrize("value", [1, "yes", None], ids=repr)
async def test_wait_for_response_is_true_or_false(box: Sandbox, client: Loose, value: Any) -> None:
    for call in (
        client.rerun_profile_generation(user_id="u", wait_for_response=value),
        client.rerun_profile_generation({"user_id": "u"}, wait_for_response=value),
        client.delete_profile("u", "p", wait_for_response=value),
    ):
        with pytest.raises(InvalidRequest, match="wait_for_response must be True or False"):
            await call
    assert box.requests == []


@pytest.mark.parametrize(
    "call",
    [
        call
        for call in CALLS
        if not call.takes_a_request
        and "wait_for_response" in call.parameters
        and "publish" not in call.name  # whose wait_for_response is a field of the request
    ],
    ids=str,
)
async def test_wait_for_response_of_a_plain_function_is_true_or_false(call: Call) -> None:
    values = {int: 1, str: "x"}
    required = {name: values[call.parameters[name].annotation] for name in call.required(None)}
    with pytest.raises(InvalidRequest, match=r"^\w+: wait_for_response must be True or False, not 'yes'$"):
        await call.bound(**required, wait_for_response="yes")


async def test_a_failed_background_call_raises_when_it_is_awaited(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.faults.add(faults.status(400), path="/api/manual_profile_generation")
    call = await client.manual_profile_generation(user_id="u")
    with pytest.raises(Exception, match="400"):
        await call


async def test_a_cancelled_wait_leaves_the_job_running(box: Sandbox, client: AsyncReflexioClient) -> None:
    call = asyncio.create_task(client.rerun_profile_generation(user_id="u", wait_for_response=True))
    await box.arrived("POST", "/api/rerun_profile_generation")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    job = await client.rerun_profile_generation(user_id="u")
    assert (await job).success
    assert len(box.operations()) == 2
