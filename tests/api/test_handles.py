"""Calls whose response takes long: a handle, or the response with ``wait_for_response=True``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, assert_type

import pytest

from reflexio_async import AsyncReflexioClient, BackgroundCall, BackgroundErrorEvent, InvalidRequest, Job
from reflexio_async.reflexio.models.aggregation import (
    PlaybookAggregationOperation,
    RunPlaybookAggregationResponse,
)
from reflexio_async.reflexio.models.evaluation import RegenerateStatusResponse
from reflexio_async.reflexio.models.interactions import DeleteRequestResponse
from reflexio_async.reflexio.models.profiles import DeleteUserProfileResponse, GetProfilesViewResponse
from reflexio_async.reflexio.models.search import UnifiedSearchViewResponse
from reflexio_async.sandbox import faults
from tests.scene import scene

if TYPE_CHECKING:
    from collections.abc import Mapping

DELETES: dict[str, tuple[tuple[Any, ...], Mapping[str, Any]]] = {
    "delete_profile": (("u", "p"), {"user_id": "u", "profile_id": "p"}),
    "delete_interaction": (("u", 1), {"user_id": "u", "interaction_id": 1}),
    "delete_request": (("r",), {"request_id": "r"}),
    "delete_session": (("s",), {"session_id": "s"}),
    "delete_user_playbook": ((1,), {"user_playbook_id": 1}),
    "delete_agent_playbook": ((1,), {"agent_playbook_id": 1}),
}


@pytest.mark.parametrize("name", DELETES)
async def test_it_is_called_by_position_or_by_name(name: str) -> None:
    by_position, fields = DELETES[name]
    async with scene() as play:
        delete: Any = getattr(play.client, name)
        handles: list[Any] = [
            await delete(*by_position),
            await delete(**fields),
            await delete(**fields, wait_for_response=False),
        ]
        for handle in handles:
            assert repr(handle).startswith(f"<BackgroundCall {name} ")
            assert (await handle).success
        for response in (
            await delete(*by_position, wait_for_response=True),
            await delete(**fields, wait_for_response=True),
        ):
            assert response.success
        assert [record.body for record in play.box.requests] == [fields] * 5


@pytest.mark.parametrize("name", DELETES)
async def test_it_takes_ids_and_no_request(name: str) -> None:
    _, fields = DELETES[name]
    async with scene() as play:
        delete: Any = getattr(play.client, name)
        with pytest.raises((TypeError, InvalidRequest), match=name):
            await delete(dict(fields))
        with pytest.raises(TypeError, match="missing"):
            await delete()
        with pytest.raises(TypeError, match="no_such_field"):
            await delete(**fields, no_such_field=1)
        with pytest.raises(InvalidRequest, match=f"{name}: wait_for_response must be True or False"):
            await delete(**fields, wait_for_response="yes")
        assert play.box.requests == []


async def test_it_is_sent_before_its_handle_is_awaited() -> None:
    async with scene() as play:
        await play.client.delete_request("r")
        await play.box.arrived("DELETE", "/api/delete_request")


async def test_leaving_the_client_waits_for_it() -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(20.0), path="/api/delete_request")
        await play.client.delete_request("r")
        summary = await play.client.aclose()
        assert summary.complete
        assert play.box.count("DELETE", "/api/delete_request", 200) == 1


async def test_an_error_of_a_handle_that_is_not_awaited_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []

    def note(event: BackgroundErrorEvent) -> None:
        events.append(event.what)

    async with scene(client={"on_background_error": note}) as play:
        play.box.faults.add(faults.status(404, {"detail": "gone"}), path="/api/delete_request")
        await play.client.delete_request("r")
        await play.box.arrived("DELETE", "/api/delete_request")
        await play.client._engine.loops.scope.finished()
        await asyncio.sleep(0)
    assert events == ["delete_request"]
    assert "delete_request failed in the background" in caplog.text


async def test_aggregating_may_take_ten_minutes() -> None:
    async with scene(aggregation_seconds=590.0) as play:
        lesson = {"agent_version": "v", "content": "be kind", "request_id": "r"}
        await play.client.add_user_playbook([lesson, lesson])
        handle = await play.client.run_playbook_aggregation(agent_version="v")
        assert "Processed 2 user playbooks" in (await handle).message
        assert play.clock.now() == 590.0
        assert play.box.requests[-1].query == {"wait_for_response": "true"}
        waited = await play.client.run_playbook_aggregation({"agent_version": "v"}, wait_for_response=True)
        assert waited.success


async def typed(client: AsyncReflexioClient) -> None:
    """Never run: what checkers make of the ways to call."""
    assert_type(await client.delete_request("r"), BackgroundCall[DeleteRequestResponse])
    assert_type(await client.delete_request(request_id="r"), BackgroundCall[DeleteRequestResponse])
    assert_type(await client.delete_request("r", wait_for_response=True), DeleteRequestResponse)
    assert_type(await client.delete_profile("u", "p", wait_for_response=True), DeleteUserProfileResponse)
    assert_type(
        await client.run_playbook_aggregation(agent_version="v"),
        BackgroundCall[RunPlaybookAggregationResponse],
    )
    assert_type(
        await client.run_playbook_aggregation(agent_version="v", wait_for_response=True),
        RunPlaybookAggregationResponse,
    )
    job = await client.submit_playbook_aggregation(agent_version="v")
    assert_type(job, Job[PlaybookAggregationOperation])
    assert_type(await job, PlaybookAggregationOperation)
    assert_type(
        await client.regenerate_evaluations(from_ts=0, to_ts=1, wait_for_response=True, poll_interval=1.0),
        RegenerateStatusResponse,
    )
    assert_type(await client.get_profiles(user_id="u", force_refresh=True), GetProfilesViewResponse)
    assert_type(await client.get_profiles({"user_id": "u"}, force_refresh=True), GetProfilesViewResponse)
    assert_type(await client.for_session("s").search(query="x"), UnifiedSearchViewResponse)
    assert_type((await client.get_config()).lineage_gc.enabled, bool)
