"""Access: the master key everywhere, a project's key in its project within its scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from reflexio_async.sandbox import VirtualClock
    from tests.behaviour.wire import Answer
    from tests.sandbox.reflect.conftest import Reflects
    from tests.sandbox.reflect.wire import ReflectWire

BOOTSTRAP = {"user_id": "ana", "project_id": "p1"}


async def bootstrap(wire: ReflectWire, token: str | None = "sandbox-bootstrap", **body: Any) -> Answer:  # noqa: S107
    headers = {} if token is None else {"X-Bootstrap-Token": token}
    return await wire.keyless().send("POST", "/v1/bootstrap", json={**BOOTSTRAP, **body}, headers=headers)


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic rf_live_sandbox_master", "Bearer"])
async def test_a_request_without_a_valid_key_is_401(reflecting: Reflects, header: str | None) -> None:
    async with reflecting() as wire:
        headers = {} if header is None else {"Authorization": header}
        answer = await wire.keyless().send("GET", wire.at("/traces"), headers=headers)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_a_refused_caller_creates_no_project(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        await wire.keyless().get(wire.at("/traces"))
        assert not wire.box.reflect.projects


async def test_the_key_is_checked_before_the_body(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        assert (await wire.keyless().post(wire.at("/traces"))).status == 401


async def test_a_master_key_creates_a_project_on_first_use(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        answer = await wire.using(project="brand-new").get("/v1/projects/brand-new/traces")
        assert (answer.status, answer.json, set(wire.box.reflect.projects)) == (200, [], {"brand-new"})


async def test_the_master_key_is_a_setting(reflecting: Reflects) -> None:
    async with reflecting(master_key="mine") as wire:
        assert wire.box.reflect_key == "mine"
        assert (await wire.get(wire.at("/traces"))).status == 200


async def test_a_quoted_project_id_is_unquoted(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        assert (await wire.get("/v1/projects/my%20project/traces")).status == 200
        assert set(wire.box.reflect.projects) == {"my project"}


async def test_a_key_is_accepted_for_its_project(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        key = await wire.new_key("memory:read")
        assert await wire.using(key).query() == []


@pytest.mark.parametrize("existing", [True, False])
async def test_a_key_is_forbidden_in_every_other_project(reflecting: Reflects, *, existing: bool) -> None:
    async with reflecting() as wire:
        if existing:
            await wire.get("/v1/projects/other/traces")
        key = await wire.new_key("memory:read", "trace:read", "trace:write", "keys:manage")
        answer = await wire.using(key).get("/v1/projects/other/traces")
        assert answer.status == 403
        assert ("other" in wire.box.reflect.projects) is existing


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("memory:read", "POST", "/memory/query"),
        ("memory:read", "GET", "/skill"),
        ("memory:write", "POST", "/skill/create"),
        ("trace:write", "POST", "/traces"),
        ("trace:write", "POST", "/traces/delete"),
        ("trace:write", "POST", "/traces/t/review"),
        ("trace:read", "GET", "/traces"),
        ("trace:read", "GET", "/traces/t"),
        ("trace:write", "GET", "/traces/t"),
        ("keys:manage", "GET", "/api-keys"),
        ("keys:manage", "POST", "/api-keys"),
        ("keys:manage", "POST", "/api-keys/k/revoke"),
    ],
)
async def test_a_route_needs_its_scope(reflecting: Reflects, scope: str, method: str, path: str) -> None:
    async with reflecting() as wire:
        with_it, without_it = await wire.new_key(scope), await wire.new_key("nothing:much")
        opened = await wire.using(with_it).send(method, wire.at(path), json={})
        closed = await wire.using(without_it).send(method, wire.at(path), json={})
        assert opened.status in {200, 404, 422}
        assert (closed.status, scope in closed.json["detail"]) == (403, True)


async def test_only_the_master_deletes_a_project(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        key = await wire.new_key("keys:manage", "trace:write", "memory:write")
        assert (await wire.using(key).delete(wire.at(""))).status == 403
        assert (await wire.delete(wire.at(""))).status == 200


async def test_deleting_a_project_deletes_everything_in_it(reflecting: Reflects) -> None:
    async with reflecting(ingest_seconds=5.0) as wire:
        key = await wire.new_key("trace:read")
        await wire.stored()
        await wire.submitted()
        await wire.delete(wire.at(""))
        assert (wire.box.reflect.projects, wire.box.reflect.queued) == ({}, [])
        assert (await wire.using(key).get(wire.at("/traces"))).status == 401


async def test_an_unknown_project_cannot_be_deleted(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        assert (await wire.delete("/v1/projects/nowhere")).status == 404
        assert not wire.box.reflect.projects


async def test_the_plaintext_of_a_key_is_only_in_the_response_that_creates_it(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        made = (await wire.post(wire.at("/api-keys"), label="ci", scopes=["memory:read"])).json
        listed = await wire.get(wire.at("/api-keys"))
        assert listed.json == [made["key"]]
        assert made["api_key"].startswith(made["key"]["public_id"])
        assert made["api_key"] not in listed.text


async def test_the_environment_is_in_the_key(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        made = await wire.post(wire.at("/api-keys"), label="ci", scopes=[], environment="test")
        assert made.json["api_key"].startswith("rf_test_")
        assert made.json["key"]["environment"] == "test"


async def test_a_use_of_a_key_is_dated(reflecting: Reflects, clock: VirtualClock) -> None:
    async with reflecting() as wire:
        key = await wire.new_key("memory:read")
        [unused] = (await wire.get(wire.at("/api-keys"))).json
        await clock.sleep(60)
        await wire.using(key).query()
        [used] = (await wire.get(wire.at("/api-keys"))).json
        assert unused["last_used_at"] is None
        assert used["last_used_at"] > used["created_at"]


async def test_a_revoked_key_is_refused_and_still_listed(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        made = (await wire.post(wire.at("/api-keys"), label="ci", scopes=["memory:read"])).json
        path = wire.at(f"/api-keys/{made['key']['id']}/revoke")
        revoked = (await wire.post(path)).json
        assert (revoked["status"], revoked["revoked_at"] is None) == ("revoked", False)
        assert (await wire.using(made["api_key"]).post(wire.at("/memory/query"), task="t")).status == 401
        assert (await wire.get(wire.at("/api-keys"))).json == [revoked]


async def test_revoking_again_changes_nothing(reflecting: Reflects, clock: VirtualClock) -> None:
    async with reflecting() as wire:
        made = (await wire.post(wire.at("/api-keys"), label="ci", scopes=[])).json
        path = wire.at(f"/api-keys/{made['key']['id']}/revoke")
        first = (await wire.post(path)).json
        await clock.sleep(1)
        assert (await wire.post(path)).json == first


async def test_a_key_of_another_project_is_not_found_there(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        made = (await wire.post(wire.at("/api-keys"), label="ci", scopes=[])).json
        answer = await wire.post(f"/v1/projects/other/api-keys/{made['key']['id']}/revoke")
        assert answer.status == 404


async def test_a_bootstrap_key_has_all_scopes(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        made = (await bootstrap(wire)).json
        assert (made["user_id"], made["project_id"]) == ("ana", "p1")
        admin = wire.using(made["api_key"], "p1")
        trace = await admin.stored(review={"result": "pass"})
        assert [memory["id"] for memory in await admin.query()] == [trace["created_memory_id"]]
        [key] = (await admin.get(admin.at("/api-keys"))).json
        assert (key["label"], key["is_master"]) == ("Default Admin Key", False)
        assert (await admin.get("/v1/projects/p2/traces")).status == 403


async def test_bootstrap_with_a_wrong_token_is_forbidden(reflecting: Reflects) -> None:
    async with reflecting(bootstrap_token="right") as wire:
        assert (await bootstrap(wire, "wrong")).status == 403
        assert (await bootstrap(wire, "right")).status == 200


async def test_bootstrap_reports_everything_that_is_missing(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        answer = await bootstrap(wire, None, user_id="")
        assert answer.status == 422
        places = [problem["loc"] for problem in answer.json["detail"]]
        assert places == [["header", "x-bootstrap-token"], ["body", "user_id"]]
        assert (await bootstrap(wire, None)).status == 422


async def test_bootstrap_of_another_users_project_is_a_conflict(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        await bootstrap(wire)
        assert (await bootstrap(wire, user_id="bob")).status == 409


async def test_bootstrap_by_the_same_user_again_gives_a_further_key(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        keys = {(await bootstrap(wire)).json["api_key"] for _ in range(2)}
        assert len(keys) == 2
        for key in keys:
            assert await wire.using(key, "p1").query() == []
