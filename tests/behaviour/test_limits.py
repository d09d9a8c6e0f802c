"""Rate limits on a server with a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.behaviour.wire import Answer, Wire

_RERUN = "/api/rerun_profile_generation"


async def _rerun(guarded: Wire, caller: str, *, key: str = "key-1", body: object = None) -> Answer:
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": caller}
    return await guarded.send("POST", _RERUN, headers=headers, json=body or {"user_id": "nobody"})


async def test_quotas_and_keys(guarded: Wire) -> None:
    """One test, for a real server with a key takes seconds to start."""
    await _without_the_key_only_probes_answer(guarded)
    await _five_starts_a_minute_are_let_through(guarded)
    await _callers_have_quotas_of_their_own(guarded)
    await _what_is_refused_before_the_handler_is_free(guarded)


async def _without_the_key_only_probes_answer(guarded: Wire) -> None:
    for path in ("/", "/health", "/health/ready", "/meta/version"):
        assert (await guarded.get(path)).status == 200
    for path in ("/api/whoami", "/api/nope"):
        answer = await guarded.get(path)
        assert (answer.status, answer.json) == (401, {"detail": "Authentication required"})
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert (await guarded.send("GET", "/api/whoami", headers={"Authorization": "Bearer key-1"})).status == 200
    assert (await guarded.send("GET", "/api/whoami", headers={"Authorization": "Basic key-1"})).status == 401
    suspicious = {"User-Agent": "curl/8"}
    assert (await guarded.send("GET", "/api/whoami", headers=suspicious)).status == 401


async def _five_starts_a_minute_are_let_through(guarded: Wire) -> None:
    answers = [await _rerun(guarded, "10.0.0.1") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert answers[-1].json == {"error": "Rate limit exceeded: 5 per 1 minute"}
    assert "Retry-After" not in answers[-1].headers


async def _callers_have_quotas_of_their_own(guarded: Wire) -> None:
    assert (await _rerun(guarded, "10.0.0.2")).status == 200
    assert (await _rerun(guarded, "10.0.0.1")).status == 429


async def _what_is_refused_before_the_handler_is_free(guarded: Wire) -> None:
    for _ in range(5):
        assert (await _rerun(guarded, "10.0.0.3", body={"user_id": 3})).status == 422
        assert (await _rerun(guarded, "10.0.0.3", key="wrong")).status == 401
    answers = [await _rerun(guarded, "10.0.0.3") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
