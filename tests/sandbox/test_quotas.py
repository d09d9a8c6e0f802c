"""Rate limits, keys and logins on virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from reflexio_async.sandbox import VirtualClock
    from tests.behaviour.wire import Wire
    from tests.sandbox.conftest import Opens

_RERUN = "/api/rerun_profile_generation"


async def test_the_first_hit_opens_a_window_of_a_minute(opened: Opens, clock: VirtualClock) -> None:
    async with opened(rate_limits=True) as (_, wire):
        statuses: list[int] = []
        for _ in range(7):
            statuses.append((await wire.post(_RERUN, user_id="x")).status)
            await clock.sleep(10)
    assert statuses == [200, 200, 200, 200, 200, 429, 200], "the seventh comes at 60 s"


async def test_quotas_are_per_path(opened: Opens) -> None:
    async with opened(rate_limits=True) as (_, wire):
        for _ in range(6):
            await wire.post(_RERUN, user_id="x")
        assert (await wire.post(_RERUN, user_id="x")).status == 429
        assert (await wire.post("/api/rerun_playbook_generation", agent_version="x")).status == 200
        assert (await wire.get("/api/get_operation_status")).status == 200


async def test_quotas_are_forgotten_by_a_restart(opened: Opens) -> None:
    async with opened(rate_limits=True) as (box, wire):
        for _ in range(6):
            await wire.post(_RERUN, user_id="x")
        await box.restart()
        assert (await wire.post(_RERUN, user_id="x")).status == 200


async def _login(wire: Wire, password: str) -> tuple[int, str]:
    answer = await wire.send("POST", "/token", data={"username": "ana@example.com", "password": password})
    return answer.status, answer.json.get("api_key", answer.json.get("detail"))


async def _whoami(wire: Wire, token: str) -> int:
    return (await wire.send("GET", "/api/whoami", headers={"Authorization": f"Bearer {token}"})).status


async def test_a_token_from_a_login_expires(opened: Opens, clock: VirtualClock) -> None:
    async with opened(logins={"ana@example.com": "right"}, token_lifetime=3600.0) as (box, wire):
        assert (await wire.get("/api/whoami")).status == 401
        assert await _login(wire, "wrong") == (401, "Incorrect username or password")
        status, token = await _login(wire, "right")
        assert (status, await _whoami(wire, token)) == (200, 200)
        await clock.sleep(3600)
        assert await _whoami(wire, token) == 401
        _, token = await _login(wire, "right")
        box.revoke_tokens()
        assert await _whoami(wire, token) == 401


async def test_a_login_looks_like_the_legacy_one(opened: Opens) -> None:
    async with opened(logins={"ana@example.com": "right"}) as (_, wire):
        form = {"username": "ana@example.com", "password": "right"}
        answer = (await wire.send("POST", "/token", data=form)).json
        assert answer.pop("api_key")
        assert answer == {"token_type": "bearer", "feature_flags": {}, "auto_verified": True}
        incomplete = await wire.send("POST", "/token", data={"username": "a"})
    assert (incomplete.status, incomplete.json["detail"][0]["loc"]) == (422, ["body", "password"])


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_a_key_is_accepted_besides_logins(opened: Opens, scheme: str) -> None:
    async with opened(api_key="key-1", logins={"ana@example.com": "right"}) as (_, wire):
        answer = await wire.send("GET", "/api/whoami", headers={"Authorization": f"{scheme} key-1"})
        assert answer.status == 200
        assert await _whoami(wire, "key-2") == 401
