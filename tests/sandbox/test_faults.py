"""Scripted misfortune does what it says, and no more often."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp
import pytest

from reflexio_async.sandbox import faults
from tests.behaviour.wire import Wire

if TYPE_CHECKING:
    from reflexio_async.sandbox import Sandbox, VirtualClock
    from reflexio_async.sandbox.faults import Action
    from tests.sandbox.conftest import Opens

_PUBLISH = "/api/publish_interaction"


async def _publish(wire: Wire, request_id: str) -> bool:
    return bool((await wire.publish("u", request_id=request_id))["success"])


async def test_a_fault_strikes_as_often_as_it_is_told_and_not_too_early(opened: Opens) -> None:
    async with opened() as (box, wire):
        fault = box.faults.add(faults.status(503), method="GET", path="/health", times=2, after=1)
        statuses = [(await wire.get("/health")).status for _ in range(5)]
        assert (await wire.get("/health/live")).status == 200
        assert (statuses, fault.hits) == ([200, 503, 503, 200, 200], 2)
        assert box.count("GET", "/health", 503) == 2


async def test_a_fault_can_choose_its_requests_and_last_for_ever(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.refused(), times=None, where=lambda record: record.body["user_id"] == "u")
        refused = [await wire.publish("u") for _ in range(3)]
        assert refused == [{"success": False, "message": "database is locked"}] * 3
        assert (await wire.publish("v"))["success"]
        box.faults.clear()
        assert (await wire.publish("u"))["success"]


async def test_a_delay_takes_virtual_time_though_the_client_holds_the_clock(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.delay(120))
        assert await _publish(wire, "r")
        assert clock.now() == 120
        assert clock.held == 0


async def test_the_clients_own_virtual_timeout_ends_a_frozen_request(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.freeze())
        with pytest.raises(TimeoutError):
            async with clock.timeout(300):
                await _publish(wire, "r")
        assert clock.now() == 300
        assert not box.stored_requests


@pytest.mark.parametrize(
    ("action", "stored"),
    [
        (faults.freeze(after_effect=True), True),
        (faults.delay(1000), False),
        (faults.delay(1000, after_effect=True), True),
    ],
    ids=["frozen after", "late before", "late after"],
)
async def test_a_slow_answer_comes_before_or_after_the_effect(
    opened: Opens, clock: VirtualClock, action: Action, *, stored: bool
) -> None:
    async with opened() as (box, wire):
        box.faults.add(action)
        with pytest.raises(TimeoutError):
            async with clock.timeout(10):
                await _publish(wire, "r")
        assert ("r" in box.stored_requests) is stored


@pytest.mark.parametrize(
    ("action", "stored"),
    [(faults.lost_before(), False), (faults.answer_lost(), True), (faults.cut_off(), True)],
    ids=["before", "after", "mid-body"],
)
async def test_a_lost_connection_is_lost_before_or_after_the_effect(
    opened: Opens, action: Action, *, stored: bool
) -> None:
    async with opened() as (box, wire):
        box.faults.add(action)
        with pytest.raises(aiohttp.ClientError):
            await _publish(wire, "r")
        assert ("r" in box.stored_requests) is stored
        assert box.requests[-1].status is None
        assert await _publish(wire, "s")


async def test_broken_json_is_an_answer_that_cannot_be_read(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.broken_json())
        answer = await wire.get("/api/whoami")
        assert answer.status == 200
        with pytest.raises(json.JSONDecodeError):
            _ = answer.json


async def test_the_kinds_of_refusal_look_like_the_servers(opened: Opens) -> None:
    async with opened() as (box, wire):
        for action in (
            faults.rate_limited(),
            faults.crowded(2),
            faults.no_capacity("r"),
            faults.html(),
            faults.internal_error(),
        ):
            box.faults.add(action)
        limited, crowded, full, page, crash = [await wire.get("/api/whoami") for _ in range(5)]
    assert (limited.status, limited.json) == (429, {"error": "Rate limit exceeded: 5 per 1 minute"})
    assert "Retry-After" not in limited.headers
    assert (crowded.status, crowded.headers["Retry-After"]) == (429, "2")
    assert (full.status, full.json["detail"]["reason"]) == (503, "capacity_deadline_exceeded")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (crash.status, crash.text) == (500, "Internal Server Error")
    assert "x-correlation-id" not in crash.headers


async def _pooled(box: Sandbox, action: Action | None) -> list[str]:
    """The outcomes of two POSTs over one pool, the first suffering ``action``."""
    outcomes: list[str] = []
    async with aiohttp.ClientSession() as session:
        wire = Wire(box.url, session)
        await wire.get("/health")
        if action is not None:
            box.faults.add(action, method="POST")
        for _ in range(2):
            try:
                outcomes.append(str((await wire.post("/api/get_requests")).status))
            except aiohttp.ClientError as error:
                outcomes.append(type(error).__mro__[1].__name__)
    return outcomes


async def test_an_unannounced_drop_breaks_the_next_post_on_that_connection(opened: Opens) -> None:
    async with opened() as (box, _):
        assert await _pooled(box, None) == ["200", "200"]
        first, second = await _pooled(box, faults.dropped_after())
        assert first == "200"
        assert second != "200"


async def test_records_tell_connections_apart(opened: Opens) -> None:
    async with opened() as (box, wire):
        await _pooled(box, None)
        assert len({record.connection for record in box.requests}) == 1
        await wire.get("/health")
        assert len({record.connection for record in box.requests}) == 2


async def test_records_show_what_was_sent(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        await clock.sleep(7)
        await wire.send("POST", "/api/nope?a=1", json={"b": 2}, headers={"User-Agent": "tests"})
        [record] = box.requests
    assert (record.method, record.path, dict(record.query)) == ("POST", "/api/nope", {"a": "1"})
    assert (record.body, record.user_agent, record.at, record.status) == ({"b": 2}, "tests", 7.0, 404)


async def test_many_slow_requests_pass_the_same_time_together(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.delay(60), times=None)
        await asyncio.gather(*(wire.get("/health") for _ in range(100)))
        assert clock.now() == 60
