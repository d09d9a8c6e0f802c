"""The configuration: nested parts, checks, partial changes, masked secrets."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from reflexio_async import InvalidRequest, UnprocessableRequest
from reflexio_async.reflexio.models.config import Config, ConfigBody
from reflexio_async.reflexio.models.config_storage import (
    APIKeyConfig,
    StorageConfigPostgres,
    StorageConfigSQLite,
    UnknownStorage,
    XAIConfig,
)
from reflexio_async.reflexio.models.identity import MyConfigResponse
from reflexio_async.sandbox import faults
from tests.scene import scene

SET = "/api/set_config"
KEYS = {"xai": {"api_key": "sk-very-secret"}}
SECRET = "sk-very-secret"  # made up
POSTGRES = {"type": "postgres", "db_url": f"postgresql://me:{SECRET}@db/x", "pool_size": 3}
# As server 0.2.32 writes it: without a type.
SUPABASE = {
    "url": "https://x.supabase.co",
    "key": SECRET,
    "db_url": f"postgres://u:{SECRET}@h/db",
    "schema": None,
}


def config_with(storage: dict[str, Any]) -> Config:
    return Config.model_validate({"storage_config": storage})


def my_config_with(storage: dict[str, Any]) -> MyConfigResponse:
    return MyConfigResponse.model_validate({"success": True, "storage_config": storage})


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
        (SUPABASE, "StorageConfigSupabase"),
        ({"type": "supabase", **SUPABASE}, "StorageConfigSupabase"),
        ({"dir_path": "/d", "qmd_binary": "qmd"}, "StorageConfigDisk"),
        ({"dir_path": "/d"}, "StorageConfigDisk"),
        ({"managed_by": "platform", "schema_present": True}, "StorageConfigManagedSupabase"),
        ({"db_url": "d"}, "UnknownStorage"),
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
    storage = Config.model_validate({"storage_config": POSTGRES}).storage_config
    assert isinstance(storage, StorageConfigPostgres)
    assert isinstance(storage.db_url, SecretStr)
    assert storage.db_url.get_secret_value() == POSTGRES["db_url"]


def test_the_storage_of_my_config_is_a_dict_with_credentials_in_clear() -> None:
    storage = MyConfigResponse.model_validate({"success": True, "storage_config": POSTGRES}).storage_config
    assert storage is not None
    assert isinstance(storage, dict)
    assert storage["db_url"] == storage.get("db_url") == POSTGRES["db_url"]
    assert dict(storage) == json.loads(json.dumps(storage)) == POSTGRES


@pytest.mark.parametrize(
    "storage",
    [
        SUPABASE,
        POSTGRES,
        {"type": "tape", "spool": {"pin": SECRET}},
        {"spools": [SECRET, {"a": SECRET}]},
        {"address": f"tape://me:{SECRET}@host/x"},
    ],
    ids=str,
)
@pytest.mark.parametrize("wrap", [config_with, my_config_with], ids=lambda wrap: wrap.__name__)
def test_storage_of_any_shape_is_masked_wherever_it_is_shown(storage: dict[str, Any], wrap: Any) -> None:
    value = wrap(storage)
    assert SECRET not in shown(value)
    assert SECRET not in repr(value.storage_config)
    assert SECRET not in str(value.storage_config)


@pytest.mark.parametrize(
    "given",
    [
        {"api_key_config": {"newco": {"api_key": SECRET, "region": SECRET}}},
        {"api_key_config": {"openai": {"organization_secret": SECRET}}},
        {"telemetry": {"headers": {"authorization": SECRET}}},
        {"webhook_tokens": [SECRET]},
        {"mirror": f"https://me:{SECRET}@host"},
    ],
    ids=str,
)
def test_a_credential_in_an_unknown_field_is_masked_and_sent_in_clear(given: dict[str, Any]) -> None:
    config = Config.model_validate(given)
    assert SECRET not in shown(config)
    assert config.to_wire() == given


def test_an_unknown_field_that_is_no_credential_is_shown() -> None:
    config = Config.model_validate({"moon": "full", "llm_config": {"temperature": 0.5}})
    assert "moon='full'" in repr(config)
    assert config.model_dump(mode="json", exclude_unset=True) == {
        "moon": "full",
        "llm_config": {"temperature": 0.5},
    }


# --- a mask is never taken for a credential


async def test_a_dump_is_refused_by_the_names_of_its_masks_and_nothing_is_sent() -> None:
    async with scene() as play:
        config = Config.model_validate({"storage_config": SUPABASE, "api_key_config": KEYS})
        for dump in (json.loads(config.model_dump_json()), config.model_dump(mode="json")):
            with pytest.raises(InvalidRequest) as caught:
                await play.client.set_config(dump)
            message = str(caught.value)
            assert message.startswith(
                "set_config: storage_config.key, storage_config.db_url, api_key_config.xai.api_key: a mask"
            )
            assert "config.to_wire()" in message
        assert play.box.requests == []


@pytest.mark.parametrize(
    ("partial", "named"),
    [
        ({"api_key_config": {"openai": {"api_key": "**********"}}}, "api_key_config.openai.api_key"),
        ({"api_key_config": {"newco": {"token": "***"}}}, "api_key_config.newco.token"),
        (
            {"pending_tool_call_config": {"hmac_secrets": ["x", "****"]}},
            "pending_tool_call_config.hmac_secrets.1",
        ),
        ({"moon": "**********"}, "moon"),
    ],
)
async def test_update_config_refuses_a_mask_by_its_place(partial: dict[str, Any], named: str) -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match=rf"^update_config: {re.escape(named)}: a mask"):
            await play.client.update_config(partial)
        assert play.box.requests == []


async def test_a_mask_that_is_assigned_is_refused() -> None:
    async with scene() as play:
        config = await play.client.get_config()
        config.api_key_config = {"xai": {"api_key": "**********"}}  # type: ignore[assignment]  # a mapping does
        with pytest.raises(InvalidRequest, match=r"api_key_config\.xai\.api_key: a mask"):
            await play.client.set_config(config)
        assert [record.path for record in play.box.requests] == ["/api/get_config"]


async def test_stars_within_a_text_are_no_mask() -> None:
    async with scene() as play:
        await play.client.update_config({"agent_context_prompt": "**** is what a password looks like"})
        assert (await play.client.get_config()).agent_context_prompt == "**** is what a password looks like"


async def test_a_backup_by_to_wire_is_restored_whole() -> None:
    async with scene() as play:
        await play.client.update_config({"api_key_config": KEYS})
        backup = json.dumps((await play.client.get_config()).to_wire())
        await play.client.update_config({"api_key_config": None})
        await play.client.set_config(json.loads(backup))
        config = await play.client.get_config()
        assert config.to_wire()["api_key_config"]["xai"] == KEYS["xai"]


async def test_a_dump_in_python_mode_keeps_its_secrets() -> None:
    async with scene() as play:
        config = Config.model_validate({"storage_config": {"db_path": "x"}, "api_key_config": KEYS})
        await play.client.set_config(config.model_dump(exclude_unset=True))
        assert play.box.requests[-1].body["api_key_config"] == KEYS


@pytest.mark.parametrize(
    "part",
    [
        APIKeyConfig.model_validate(KEYS),
        {"xai": XAIConfig.model_validate(KEYS["xai"])},
        {"xai": {"api_key": SecretStr(SECRET)}},
    ],
    ids=["model", "model in a dict", "secret in a dict"],
)
async def test_update_config_sends_secrets_of_models_in_clear(part: Any) -> None:
    async with scene() as play:
        await play.client.update_config({"api_key_config": part})
        assert play.box.requests[-1].body == {"api_key_config": KEYS}


# --- misspelt names


@pytest.mark.parametrize("call", ["set_config", "update_config"])
@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"windw_size": 5}, "windw_size: no such field; did you mean window_size?"),
        (
            {"llm_config": {"generation_model": "m"}},
            "llm_config.generation_model: no such field; did you mean generation_model_name?",
        ),
        (
            {"profile_extractor_config": {"extraction_definition_prompt": "x", "context_promt": "y"}},
            "profile_extractor_config.context_promt: no such field; did you mean context_prompt?",
        ),
    ],
)
async def test_a_misspelt_field_is_refused_with_the_right_one(
    call: str, given: dict[str, Any], hint: str
) -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest) as caught:
            await getattr(play.client, call)(given)
        assert str(caught.value) == f"{call}: {hint}"
        assert play.box.requests == []


async def test_update_config_leaves_a_field_of_a_newer_server_to_it() -> None:
    async with scene() as play:
        with pytest.raises(
            UnprocessableRequest, match=r"; moon: Extra inputs are not permitted; Nested objects"
        ):
            await play.client.update_config({"moon": "full"})


async def test_an_older_name_that_servers_ignore_is_refused_with_the_new_one() -> None:
    async with scene() as play:
        for call in (play.client.update_config, play.client.set_config):
            with pytest.raises(
                InvalidRequest, match="batch_size: servers ignore this older name; use window_size"
            ):
                await call({"batch_size": 20})
        assert play.box.requests == []


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
