"""The configuration: nested parts, checks, partial changes, masked secrets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from reflexio_async import InvalidRequest
from reflexio_async.reflexio.models.config import Config, ConfigBody
from reflexio_async.reflexio.models.config_storage import (
    APIKeyConfig,
    StorageConfigPostgres,
    StorageConfigSQLite,
    UnknownStorage,
)
from reflexio_async.reflexio.models.identity import MyConfigResponse
from reflexio_async.sandbox import faults
from tests.scene import scene

SET = "/api/set_config"
KEYS = {"xai": {"api_key": "sk-very-secret"}}
SECRET = "sk-very-secret"  # made up
POSTGRES = {"type": "postgres", "db_url": f"postgresql://me:{SECRET}@db/x", "pool_size": 3}


async def test_nested_parts_are_read_assigned_and_sent() -> None:
    async with scene() as play:
        config = await play.client.get_config()
        config.llm_config = {"generation_model_name": "gpt-5"}  # type: ignore[assignment]  # a mapping does
        assert config.llm_config.generation_model_name == "gpt-5"  # type: ignore[union-attr]
        config.retrieval_floor.pool_size = 5
        response = await play.client.set_config(config)
        assert response["message"] == response["msg"]
        again = await play.client.get_config()
        assert again.llm_config is not None
        assert (again.llm_config.generation_model_name, again.retrieval_floor.pool_size) == ("gpt-5", 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window_size", 0),
        ("storage_config", "sqlite"),
        ("llm_config", {"generation_timeout_seconds": 0}),
        ("agent_success_config", {}),
    ],
)
def test_an_assignment_is_checked(name: str, value: Any) -> None:
    config = Config()
    with pytest.raises(ValidationError, match=name):
        setattr(config, name, value)


async def test_a_partial_mapping_keeps_the_present_storage() -> None:
    async with scene() as play:
        await play.client.set_config({"extraction_preset": "quick_chat"})
        sent = play.box.requests[-1].body
        config = await play.client.get_config()
        assert config.extraction_preset == "quick_chat"
        assert isinstance(config.storage_config, StorageConfigSQLite)
        assert sent == {
            "extraction_preset": "quick_chat",
            "storage_config": config.storage_config.to_wire(),
        }


async def test_storage_that_was_given_is_not_read_first() -> None:
    async with scene() as play:
        await play.client.set_config({"storage_config": {"type": "sqlite", "db_path": "/x"}})
        assert [record.path for record in play.box.requests] == [SET]
        assert play.box.requests[0].body == {"storage_config": {"type": "sqlite", "db_path": "/x"}}


async def test_a_change_within_a_part_that_was_not_given_is_sent() -> None:
    async with scene() as play:
        config = Config()
        config.lineage_gc.enabled = False
        await play.client.set_config(config)
        body = play.box.requests[-1].body
        assert body["lineage_gc"] == {"enabled": False}
        assert "retrieval_floor" not in body


async def test_what_a_newer_server_sent_goes_back_to_it() -> None:
    async with scene() as play:
        newer = {
            "storage_config": {"type": "tape", "spool": 7},
            "llm_config": {"temperature": 0.5},
            "moon": "full",
        }
        play.box.faults.add(faults.status(200, newer), path="/api/get_config")
        config = await play.client.get_config()
        assert isinstance(config.storage_config, UnknownStorage)
        assert config.to_wire() == newer
        assert "7" not in repr(config.storage_config)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"windowsize": 5}, "windowsize"),
        ({"window_size": "many"}, "window_size"),
        ({"storage_config": {"type": "postgres"}}, r"storage_config\.postgres\.db_url: Field required"),
        ({"storage_config": 5}, "storage_config: must be a mapping"),
        ({"lineage_gc": {"poll_interval_seconds": 0}}, r"lineage_gc\.poll_interval_seconds"),
        ([], "set_config"),
    ],
)
async def test_set_config_names_the_part_at_fault(given: Any, named: str) -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match=named):
            await play.client.set_config(given)
        assert play.box.requests == []


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        ({}, "StorageConfigSQLite"),
        ({"db_path": None}, "StorageConfigSQLite"),
        ({"type": "sqlite", "db_path": "x", "new": 1}, "StorageConfigSQLite"),
        (POSTGRES, "StorageConfigPostgres"),
        ({"managed_by": "platform", "schema_present": True}, "StorageConfigManagedSupabase"),
        ({"type": "tape"}, "UnknownStorage"),
        ({"spool": 7}, "UnknownStorage"),
    ],
)
def test_every_kind_of_storage_is_read_and_written_back(read: dict[str, Any], kind: str) -> None:
    config = Config.model_validate({"storage_config": read})
    assert type(config.storage_config).__name__ == kind
    assert config.to_wire() == {"storage_config": read}
    config.storage_config = config.storage_config  # as it is assigned again
    assert config.to_wire() == {"storage_config": read}


@pytest.mark.parametrize("given", [None, [], "x", [("shadow_mode_enabled", True)], Config()])
async def test_update_config_takes_a_dict(given: Any) -> None:
    async with scene() as play:
        with pytest.raises(TypeError, match="takes a dict"):
            await play.client.update_config(given)
        assert play.box.requests == []


async def test_update_config_leaves_the_rest() -> None:
    async with scene() as play:
        assert (await play.client.update_config({"shadow_mode_enabled": True}))["success"] is True
        assert play.box.requests[-1].body == {"shadow_mode_enabled": True}
        assert (await play.client.get_config()).shadow_mode_enabled is True


def shown(value: Any) -> str:
    """Every way in which a value may come to be seen by accident."""
    return "\n".join([repr(value), str(value), f"{value}", str(value.model_dump()), value.model_dump_json()])


@pytest.mark.parametrize(
    "value",
    [
        Config(storage_config=StorageConfigPostgres.model_validate(POSTGRES)),
        Config(api_key_config=APIKeyConfig.model_validate({"openai": {"api_key": SECRET}})),
        Config.model_validate({"pending_tool_call_config": {"hmac_secrets": [SECRET]}}),
        Config.model_validate({"playbook_optimizer_config": {"webhook_auth_header": SECRET}}),
        MyConfigResponse.model_validate({"success": True, "storage_config": POSTGRES}),
        MyConfigResponse.model_validate(
            {
                "success": True,
                "storage_config": {"type": "supabase", "url": "u", "key": SECRET, "db_url": "d"},
            }
        ),
    ],
)
def test_secrets_are_masked_wherever_they_are_shown(value: Any) -> None:
    assert SECRET not in shown(value)


def test_secrets_go_to_the_server_in_clear() -> None:
    config = Config.model_validate(
        {"storage_config": POSTGRES, "api_key_config": {"xai": {"api_key": SECRET}}}
    )
    assert config.to_wire() == {"storage_config": POSTGRES, "api_key_config": {"xai": {"api_key": SECRET}}}
    assert SECRET not in repr(ConfigBody(**config.to_wire()))


def test_get_secret_value_reads_a_secret() -> None:
    answer = MyConfigResponse.model_validate({"success": True, "storage_config": POSTGRES})
    assert isinstance(answer.storage_config, StorageConfigPostgres)
    assert isinstance(answer.storage_config.db_url, SecretStr)
    assert answer.storage_config.db_url.get_secret_value() == POSTGRES["db_url"]


def test_an_unusable_secret_is_not_echoed() -> None:
    with pytest.raises(ValidationError) as error:
        APIKeyConfig.model_validate({"openai": {"api_key": {"oops": SECRET}}})
    assert SECRET not in str(error.value)


async def test_where_the_data_is() -> None:
    async with scene(my_config=True) as play:
        answer = await play.client.get_my_config()
        assert answer.success
        assert answer.storage_config is not None
    async with scene() as play:
        assert (await play.client.get_my_config()).success is False


async def test_views_have_it_too() -> None:
    async with scene() as play:
        view = play.client.with_options(timeout=5)
        config = await view.get_config()
        assert isinstance(config.storage_config, StorageConfigSQLite)
        assert (await view.set_config(config))["success"] is True
