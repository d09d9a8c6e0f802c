"""Configuration, identity, operations and the rest, on the real server and on the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from reflexio_async import (
    AsyncReflexioClient,
    Conflict,
    InvalidRequest,
    NotFound,
    RequestRefused,
    UnprocessableRequest,
)
from reflexio_async.legacy.api import LegacyAPI
from reflexio_async.reflexio.models.config import Config
from tests.calls import calls, to_the_end
from tests.parity.compare import CONTRACT
from tests.real.helpers import publish


async def test_the_configuration_is_read_changed_and_sent_back(client: AsyncReflexioClient) -> None:
    config = await client.get_config()
    assert config.lineage_gc.tombstone_grace_window_days == 90
    config.llm_config = {"generation_model_name": "gpt-5"}  # type: ignore[assignment]  # a mapping does
    config.lineage_gc.enabled = False
    config.window_size = 12
    response = await client.set_config(config)
    assert response["success"] is True
    assert response["msg"] == response["message"] == "Configuration set successfully"
    changed = await client.get_config()
    assert changed.llm_config is not None
    assert changed.llm_config.generation_model_name == "gpt-5"
    assert (changed.lineage_gc.enabled, changed.window_size) == (False, 12)
    assert changed.storage_config == config.storage_config


async def test_a_part_of_the_configuration(client: AsyncReflexioClient) -> None:
    assert (await client.set_config({"extraction_preset": "quick_chat"}))["success"] is True
    assert (await client.get_config()).extraction_preset == "quick_chat"
    partial = Config()
    partial.lineage_gc.enabled = False
    await client.set_config(partial)
    assert (await client.get_config()).lineage_gc.enabled is False
    await client.set_config({})
    assert (await client.get_config()).lineage_gc.enabled is True


async def test_updating_some_keys(client: AsyncReflexioClient) -> None:
    assert (await client.update_config({"shadow_mode_enabled": True}))["success"] is True
    assert (await client.get_config()).shadow_mode_enabled is True
    assert (await client.update_config({"shadow_mode_enabled": True}))["msg"] == "Configuration unchanged"
    await client.update_config({"shadow_mode_enabled": False})
    with pytest.raises(UnprocessableRequest):
        await client.update_config({"window_size": -1})
    experiment = {"experiment_id": "x", "holdout_percentage": 5}
    with pytest.raises(Conflict):
        await client.update_config({"retrieval_experiment_config": experiment})
    not_a_dict: Any = [("shadow_mode_enabled", True)]
    with pytest.raises(TypeError, match="takes a dict"):
        await client.update_config(not_a_dict)
    with pytest.raises(InvalidRequest, match="no_such_key"):
        await client.set_config({"no_such_key": 1})


@pytest.mark.real
async def test_the_servers_own_cache(offline: AsyncReflexioClient) -> None:
    await offline.get_config()
    organisation = (await offline.whoami()).org_id
    response = await offline.invalidate_cache(organisation)
    assert (response["invalidated"], response["org_id"]) == (True, organisation)
    assert (await offline.invalidate_cache())["invalidated"] is False


async def test_who_and_what(client: AsyncReflexioClient) -> None:
    assert (await client.whoami()).storage_type == "sqlite"
    denied = await client.get_my_config()
    assert denied.success is False
    assert "REFLEXIO_ALLOW_MY_CONFIG" in denied.message
    stall = await client.get_stall_state()
    assert (stall.stalled, stall.reason) == (False, None)
    assert (await client.mark_stall_notified()).notified_in_cc is False
    assert (await client.get_version()).api_version == "v1"
    assert (await client.get_root())["health"] == "/health"
    assert (await client.health())["status"] == "healthy"
    assert (await client.health_live())["status"] == "alive"
    assert (await client.health_ready())["status"] == "healthy"
    assert (await client.healthz())["pid"] > 0
    assert "skip_counts" in await client.healthz_eval()


async def test_operations(client: AsyncReflexioClient, name: str) -> None:
    never = await client.get_operation_status(service_name=name)
    assert (never.success, never.operation_status) == (False, None)
    idle = await client.cancel_operation()
    assert (idle.success, idle.cancelled_services) == (True, [])


async def test_the_dashboard(client: AsyncReflexioClient, name: str) -> None:
    before = (await client.get_dashboard_stats(days_back=30)).stats
    await publish(client, name)
    after = (await client.get_dashboard_stats(days_back=30)).stats
    assert before is not None
    assert after is not None
    assert after.current_period.total_interactions == before.current_period.total_interactions + 1


@pytest.mark.real
async def test_braintrust(offline: AsyncReflexioClient) -> None:
    assert (await offline.get_braintrust_status()).connected is False
    with pytest.raises(RequestRefused, match="Braintrust HTTP error"):
        await offline.connect_braintrust(api_key="secret-key")
    with pytest.raises(RequestRefused, match="Not connected"):
        await offline.sync_braintrust()
    chosen = await offline.select_braintrust_projects(
        api_key="secret-key", workspace_id="w", workspace_name="W", project_ids=["p"]
    )
    assert chosen.success
    status = await offline.get_braintrust_status()
    assert (status.connected, status.workspace_id, status.project_count) == (True, "w", 1)
    assert (await offline.delete_braintrust_connection())["success"] is True
    assert (await offline.get_braintrust_status()).connected is False


async def test_pending_tool_calls(client: AsyncReflexioClient) -> None:
    assert (await client.list_pending_tool_calls(limit=5)).pending_tool_calls == []
    # Only a model makes them, so that offline there is none to answer.
    for call in (
        client.get_pending_tool_call("nope"),
        client.resolve_pending_tool_call("nope", answer="x", signature="s", timestamp="1"),
        client.update_pending_tool_call_answer("nope", "x"),
        client.mark_pending_tool_call_not_applicable("nope", valid_for_seconds=5),
        client.cancel_pending_tool_call("nope"),
    ):
        with pytest.raises(NotFound, match="Pending tool call not found"):
            await call


JANUARY_ONLY = {
    name: call for name, call in calls(LegacyAPI).items() if call.endpoint.path not in CONTRACT["paths"]
}
FEEDBACK: dict[str, dict[str, Any]] = {
    "rerun_feedback_generation": {"agent_version": "v"},
    "manual_feedback_generation": {"agent_version": "v"},
    "run_feedback_aggregation": {"agent_version": "v", "feedback_name": "f"},
    "get_feedbacks": {},
    "get_raw_feedbacks": {},
    "search_feedbacks": {"query": "x"},
    "search_raw_feedbacks": {"query": "x"},
    "add_feedbacks": {"feedbacks": [{"agent_version": "v", "feedback_content": "x"}]},
    "add_raw_feedback": {"raw_feedbacks": [{"agent_version": "v", "request_id": "r"}]},
    "update_feedback_status": {"feedback_id": 1, "feedback_status": "approved"},
    "upgrade_raw_feedbacks": {},
    "downgrade_raw_feedbacks": {},
    "delete_feedback": {"feedback_id": 1},
    "delete_raw_feedback": {"raw_feedback_id": 1},
    "delete_request_group": {"request_group": "g"},
}


@pytest.mark.parametrize("name", FEEDBACK)
async def test_what_only_january_servers_have_names_todays_call(
    client: AsyncReflexioClient, name: str
) -> None:
    with pytest.raises(NotFound, match=r"does not have this call; newer servers have (\w+)\)$") as missing:
        await to_the_end(JANUARY_ONLY[name](client.legacy, FEEDBACK[name]))
    todays = str(missing.value).rstrip(")").rsplit(" ", 1)[1]
    assert todays in calls(AsyncReflexioClient)


def test_every_call_that_only_january_servers_have_is_among_them() -> None:
    assert sorted(FEEDBACK) == sorted(JANUARY_ONLY)
