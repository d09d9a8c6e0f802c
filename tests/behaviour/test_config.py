"""Configuration: read, set, changed in part, refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire

_SET = {"success": True, "msg": "Configuration set successfully"}
_INVALID = "Invalid partial config (top-level shallow merge)"


async def test_a_configuration_has_nulls_and_is_accepted_back(wire: Wire, config: Any) -> None:
    assert len(config) == 27
    assert config["storage_config"] == {"db_path": None}
    assert (config["llm_config"], config["window_size"], config["stride_size"]) == (None, 10, 8)
    assert (await wire.post("/api/set_config", **config)).json == _SET
    assert (await wire.get("/api/get_config")).json == config


async def test_a_configuration_that_was_set_is_returned(wire: Wire, config: Any) -> None:
    assert (await wire.post("/api/set_config", **{**config, "window_size": 12})).json == _SET
    assert (await wire.get("/api/get_config")).json == {**config, "window_size": 12}


async def test_old_field_names_are_accepted(wire: Wire, config: Any) -> None:
    old = {"batch_size": 20, "batch_interval": 5}
    assert (await wire.post("/api/set_config", storage_config=None, **old)).json == _SET
    now = (await wire.get("/api/get_config")).json
    assert (now["window_size"], now["stride_size"]) == (20, 5)
    assert set(now) == set(config)
    both = {"extraction_window_size": 30, "window_size": 15}
    assert (await wire.post("/api/update_config", **both)).json == _SET
    assert (await wire.get("/api/get_config")).json["window_size"] == 15


async def test_old_field_names_of_parts_are_accepted(wire: Wire, config: Any) -> None:
    aggregation = {"min_feedback_threshold": 3, "refresh_count": 4}
    extractor = {
        "feedback_definition_prompt": "How to greet",
        "feedback_aggregator_config": aggregation,
        "batch_size_override": 7,
    }
    assert (await wire.post("/api/update_config", user_playbook_extractor_config=extractor)).json == _SET
    now = (await wire.get("/api/get_config")).json["user_playbook_extractor_config"]
    assert (now["extraction_definition_prompt"], now["window_size_override"]) == ("How to greet", 7)
    kept = config["user_playbook_extractor_config"]["aggregation_config"]
    expected = {**kept, "min_cluster_size": 3, "reaggregation_trigger_count": 4}
    assert now["aggregation_config"] == expected


@pytest.mark.parametrize(("part", "before"), [("window_size", 20), ("lineage_gc", {"enabled": False})])
async def test_null_is_the_default_where_nothing_is_optional(
    wire: Wire, config: Any, part: str, before: Any
) -> None:
    await wire.post("/api/update_config", **{part: before})
    assert (await wire.post("/api/update_config", **{part: None})).json == _SET
    assert (await wire.get("/api/get_config")).json == config


async def test_only_the_storage_is_required(wire: Wire, config: Any) -> None:
    assert (await wire.post("/api/set_config", storage_config=None, window_size=20)).json == _SET
    assert (await wire.get("/api/get_config")).json["stride_size"] == config["stride_size"]
    answer = await wire.post("/api/set_config")
    missing = {"type": "missing", "loc": ["storage_config"], "msg": "Field required"}
    assert (answer.status, answer.json) == (422, {"detail": [missing]})


@pytest.mark.parametrize(
    ("fields", "kind", "place"),
    [
        ({"window_size": 0}, "greater_than", ["window_size"]),
        ({"bogus": 1}, "extra_forbidden", ["bogus"]),
        ({"extraction_preset": "bogus"}, "enum", ["extraction_preset"]),
        ({"stride_size": 99}, "value_error", []),
        (
            {"user_playbook_extractor_config": {"aggregation_config": {}}},
            "missing",
            ["user_playbook_extractor_config", "extraction_definition_prompt"],
        ),
        ({"shadow_mode_enabled": "maybe"}, "bool_parsing", ["shadow_mode_enabled"]),
    ],
    ids=["bound", "unknown", "word", "stride above window", "nested", "type"],
)
@pytest.mark.usefixtures("config")
async def test_a_bad_configuration_is_422_and_not_echoed(
    wire: Wire, fields: dict[str, Any], kind: str, place: list[str]
) -> None:
    whole = await wire.post("/api/set_config", storage_config=None, **fields)
    [error] = whole.json["detail"]
    assert (whole.status, error["type"], error["loc"], set(error)) == (
        422,
        kind,
        place,
        {"type", "loc", "msg"},
    )
    partial = await wire.post("/api/update_config", **fields)
    assert (partial.status, set(partial.json["detail"])) == (422, {"error", "hint", "validation_errors"})
    assert partial.json["detail"]["error"] == _INVALID
    assert partial.json["detail"]["validation_errors"] == [error]


@pytest.mark.usefixtures("config")
async def test_an_update_changes_a_part(wire: Wire) -> None:
    assert (await wire.post("/api/update_config", shadow_mode_enabled=True)).json == _SET
    unchanged = {"success": True, "msg": "Configuration unchanged"}
    assert (await wire.post("/api/update_config", shadow_mode_enabled=True)).json == unchanged
    assert (await wire.post("/api/update_config")).json == unchanged
    assert (await wire.get("/api/get_config")).json["shadow_mode_enabled"] is True


async def test_a_preset_sets_windows_that_are_not_given(wire: Wire, config: Any) -> None:
    bare = {key: config[key] for key in config if key not in {"window_size", "stride_size"}}
    assert (await wire.post("/api/set_config", **{**bare, "extraction_preset": "quick_chat"})).json == _SET
    shown = (await wire.get("/api/get_config")).json
    assert (shown["window_size"], shown["stride_size"]) == (5, 3)


@pytest.mark.parametrize("path", ["set_config", "update_config"])
async def test_experiments_cannot_be_changed_through_the_configuration(
    wire: Wire, config: Any, path: str
) -> None:
    record = {"experiment_id": "a", "holdout_percentage": 5, "started_at": 1}
    body = (
        {**config, "retrieval_experiment_history": [record]}
        if path == "set_config"
        else {"retrieval_experiment_history": [record]}
    )
    answer = await wire.post(f"/api/{path}", **body)
    expected = (
        "Retrieval experiments must be changed through the /api/retrieval_experiments lifecycle endpoints"
    )
    assert (answer.status, answer.json) == (409, {"detail": expected})


@pytest.mark.parametrize("path", ["set_config", "update_config"])
async def test_a_configuration_is_an_object(wire: Wire, path: str) -> None:
    answer = await wire.send("POST", f"/api/{path}", json=[1])
    error = {
        "type": "dict_type",
        "loc": ["body"],
        "msg": "Input should be a valid dictionary",
        "input": [1],
    }
    assert (answer.status, answer.json) == (422, {"detail": [error]})


async def test_credentials_are_not_shown_unless_that_is_allowed(wire: Wire) -> None:
    message = "GET /api/my_config is disabled. Set REFLEXIO_ALLOW_MY_CONFIG=true to enable."
    assert (await wire.get("/api/my_config")).json == {"success": False, "message": message}


async def test_another_organisations_cache_cannot_be_emptied(wire: Wire) -> None:
    own = (await wire.post("/api/admin/cache/invalidate", org_id="self-host-org")).json
    assert (set(own), own["org_id"]) == ({"invalidated", "org_id"}, "self-host-org")
    assert isinstance(own["invalidated"], bool)
    other = await wire.post("/api/admin/cache/invalidate", org_id="theirs")
    expected = "Cross-org cache invalidation is not supported; omit org_id or pass your own."
    assert (other.status, other.json) == (403, {"detail": expected})
