"""The options of a sandbox, and which values are refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async.sandbox import ReflectSettings, Sandbox

if TYPE_CHECKING:
    from tests.sandbox.conftest import Opens

_NO_SECONDS: list[Any] = [-1, math.nan, math.inf, "x", True]
_SECONDS = (
    "rerun_seconds",
    "learning_seconds",
    "aggregation_seconds",
    "evaluation_seconds",
    "token_lifetime",
    "keepalive_seconds",
)


@pytest.mark.parametrize("name", _SECONDS)
@pytest.mark.parametrize("given", _NO_SECONDS)
def test_an_invalid_duration_is_refused(name: str, given: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=f"{name} must be a .*number of seconds"):
        Sandbox(**{name: given})


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"dialect": "zzz"}, "dialect must be one of correlated, uncorrelated, synchronous, not 'zzz'"),
        ({"dialect": []}, "dialect must be one of"),
        ({"rate_limits": "real"}, "rate_limits must be True or False, not 'real'"),
        ({"my_config": 1}, "my_config must be True or False, not 1"),
        ({"legacy": None}, "legacy must be True or False, not None"),
        ({"reflect": {}}, "reflect must be ReflectSettings, not {}"),
        ({"faults": []}, r"faults must be Faults, not \[\]"),
        ({"failing_users": "bob"}, r"failing_users must be a collection; did you mean \['bob'\]\?"),
        ({"failing_users": 5}, "failing_users must be a collection of user ids, not 5"),
        ({"logins": ["ana"]}, "logins must be a mapping from email to password, not list"),
        ({"keep_requests": -1}, "keep_requests must be 0 or more, not -1"),
        ({"keep_requests": 1.5}, "keep_requests must be a whole number, not 1.5"),
    ],
)
def test_an_invalid_option_is_refused_by_name(option: dict[str, Any], expected: str) -> None:
    with pytest.raises((ValueError, TypeError), match=expected):
        Sandbox(**option)


def test_a_key_of_a_wrong_type_is_not_shown() -> None:
    key: Any = b"secret"
    with pytest.raises(TypeError, match=r"^api_key must be a text, not bytes$"):
        Sandbox(api_key=key)


async def test_the_url_of_an_ipv6_address_is_usable(opened: Opens) -> None:
    async with opened(host="::1") as (box, wire):
        assert box.url.startswith("http://[::1]:")
        assert (await wire.get("/health")).status == 200


async def test_an_empty_key_means_no_key(opened: Opens) -> None:
    async with opened(api_key="") as (_, wire):
        assert (await wire.get("/api/whoami")).status == 200


async def test_an_empty_key_is_refused_where_logins_are_needed(opened: Opens) -> None:
    async with opened(api_key="", logins={"ana@example.com": "right"}) as (_, wire):
        answer = await wire.send("GET", "/api/whoami", headers={"Authorization": "Bearer "})
        assert answer.status == 401


async def test_all_requests_are_kept_by_default(opened: Opens) -> None:
    async with opened() as (box, wire):
        for _ in range(20):
            await wire.get("/health")
        assert box.count("GET", "/health") == 20


async def test_the_latest_requests_are_kept(opened: Opens) -> None:
    async with opened(keep_requests=2) as (box, wire):
        for path in ("/health", "/health/live", "/health", "/"):
            await wire.get(path)
        assert [record.path for record in box.requests] == ["/health", "/"]
        assert box.count("GET", "/health", 200) == 1


async def test_no_requests_are_kept_with_zero(opened: Opens) -> None:
    async with opened(keep_requests=0) as (box, wire):
        await wire.get("/health")
        assert box.requests == []


async def test_starting_a_running_sandbox_is_refused_and_it_stays_up(opened: Opens) -> None:
    async with opened() as (box, wire):
        url = box.url
        with pytest.raises(RuntimeError, match="the sandbox runs already"):
            await box.start()
        assert box.url == url
        assert (await wire.get("/health")).status == 200


async def test_a_stopped_sandbox_may_be_started_again() -> None:
    box = Sandbox()
    await box.start()
    await box.stop()
    async with box:
        await box.restart()


@pytest.mark.parametrize("name", ["ingest_seconds", "review_seconds"])
@pytest.mark.parametrize("given", _NO_SECONDS)
def test_an_invalid_duration_for_reflect_is_refused(name: str, given: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=f"{name} must be a .*number of seconds"):
        ReflectSettings(**{name: given})


@pytest.mark.parametrize(("name", "given"), [("alpha", 2), ("initial_q", "x"), ("max_attempts", 0)])
def test_an_invalid_learning_rate_for_reflect_is_refused(name: str, given: Any) -> None:
    with pytest.raises(ValueError, match=name):
        ReflectSettings(**{name: given})
