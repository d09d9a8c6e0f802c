"""Profiles that callers write: reading, filtering, counting, changing, downgrading."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.rows import add_profiles

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire


async def test_a_written_profile_is_returned_without_nulls(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "likes tea", tags=["t"], custom_features={"cups": 3}, source="src")
    assert await wire.profiles(name) == [
        {
            "profile_id": f"{name}-likes-tea",
            "user_id": name,
            "content": "likes tea",
            "last_modified_timestamp": 1_700_000_000,
            "generated_from_request_id": f"r-{name}",
            "profile_time_to_live": "infinity",
            "expiration_timestamp": 4_102_444_800,
            "custom_features": {"cups": 3},
            "source": "src",
            "source_interaction_ids": [],
            "tags": ["t"],
        }
    ]


async def test_a_profile_with_a_known_id_is_overwritten(wire: Wire, name: str) -> None:
    for content in ("first", "second"):
        await add_profiles(wire, name, content, profile_id=name)
    assert [row["content"] for row in await wire.profiles(name)] == ["second"]


async def test_an_expired_profile_is_not_returned(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "old news", expiration_timestamp=1_700_000_001)
    await add_profiles(wire, name, "news")
    assert [row["content"] for row in await wire.profiles(name)] == ["news"]
    found = await wire.post("/api/search_profiles", user_id=name, query="news")
    assert len(found.json["user_profiles"]) == 1


async def test_profiles_are_newest_first_and_otherwise_in_order(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "a", "b")
    await add_profiles(wire, name, "later", last_modified_timestamp=1_700_000_001)
    await add_profiles(wire, name, "earlier", last_modified_timestamp=1_600_000_000)
    assert [row["content"] for row in await wire.profiles(name)] == ["later", "a", "b", "earlier"]


@pytest.mark.parametrize(
    ("wanted", "contents"),
    [
        ({"tags": ["t", "other"]}, ["tagged"]),
        ({"tags": ["other"]}, []),
        ({"profile_time_to_live": "one_day"}, ["short"]),
        ({"source": "src"}, ["sourced"]),
        ({"query": "AGG"}, ["tagged"]),
        ({"start_time": "2024-01-01T00:00:00Z"}, []),
        ({"end_time": "2024-01-01T00:00:00Z", "top_k": 2}, ["tagged", "short"]),
    ],
    ids=["tag", "no tag", "time to live", "source", "words", "later", "earlier"],
)
async def test_filters_of_profiles(
    wire: Wire, name: str, wanted: dict[str, Any], contents: list[str]
) -> None:
    await add_profiles(wire, name, "tagged", tags=["t"])
    await add_profiles(wire, name, "short", profile_time_to_live="one_day")
    await add_profiles(wire, name, "sourced", source="src")
    assert [row["content"] for row in await wire.profiles(name, **wanted)] == contents


async def _all(wire: Wire, **query: str) -> list[str]:
    answer = await wire.get("/api/get_all_profiles", **query)
    return [row["content"] for row in answer.json["user_profiles"]]


async def test_profiles_of_all_users(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "current", "another")
    await add_profiles(wire, name, "waiting", status="pending")
    await add_profiles(wire, name, "gone", status="archived")
    mine = {"user_id": name}
    assert await _all(wire, **mine) == ["current", "another"]
    assert await _all(wire, **mine, status_filter="pending") == ["waiting"]
    assert await _all(wire, **mine, status_filter="archived") == ["gone"]
    assert await _all(wire, **mine, status_filter="bogus") == ["current", "another"], "what is unknown"
    assert await _all(wire, **mine, limit="1") == ["current"]
    assert await _all(wire, **mine, limit="-1") == ["current", "another"]
    assert await _all(wire, **mine, query="ANOTH") == ["another"]
    named = {"profile_id": f"{name}-gone"}
    assert await _all(wire, **named) == []
    assert await _all(wire, **named, include_tombstones="true") == ["gone"]
    assert await _all(wire, **mine, end_time="1600000000") == []
    assert await _all(wire, **mine, end_time=str(int(time.time()) + 60), date_field="created_at") == [
        "current",
        "another",
    ]


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ({"limit": "many"}, "int_parsing"),
        ({"date_field": "birthday"}, "literal_error"),
        ({"include_tombstones": "maybe"}, "bool_parsing"),
    ],
    ids=["limit", "date", "flag"],
)
async def test_a_bad_query_string_is_422(wire: Wire, query: dict[str, str], kind: str) -> None:
    answer = await wire.get("/api/get_all_profiles", **query)
    [error] = answer.json["detail"]
    assert (answer.status, error["type"], error["loc"]) == (422, kind, ["query", *query])


async def test_profiles_are_counted(wire: Wire, name: str) -> None:
    async def counts() -> Any:
        return (await wire.get("/api/get_profile_statistics")).json

    before = await counts()
    await add_profiles(wire, name, "a", "b")
    await add_profiles(wire, name, "c", status="pending")
    after = await counts()
    assert after["msg"] == "Retrieved profile statistics successfully"
    added = {key: after[key] - before[key] for key in before if key.endswith("_count")}
    assert added == {"current_count": 2, "pending_count": 1, "archived_count": 0, "expiring_soon_count": 0}


async def test_the_storage_of_a_user(wire: Wire, name: str) -> None:
    empty = {"profile_count": 0, "playbook_count": 0, "success": True}
    nothing = await wire.get("/api/storage_stats", user_id=name)
    assert nothing.json == {**empty, "msg": "Found 0 profile(s) and 0 playbook(s)"}
    await add_profiles(wire, name, "a")
    await add_profiles(wire, name, "b", last_modified_timestamp=1_700_000_060, status="archived")
    assert (await wire.get("/api/storage_stats", user_id=name)).json == {
        "profile_count": 2,
        "playbook_count": 0,
        "oldest_profile_modified": "2023-11-14T22:13:20Z",
        "newest_profile_modified": "2023-11-14T22:14:20Z",
        "success": True,
        "msg": "Found 2 profile(s) and 0 playbook(s)",
    }


async def test_storage_stats_without_a_user_are_a_crash(wire: Wire) -> None:
    answer = await wire.send("GET", "/api/storage_stats?user_id=", headers={"Connection": "close"})
    assert (answer.status, answer.text) == (500, "Internal Server Error")


async def test_a_profile_is_changed_in_part(wire: Wire, name: str) -> None:
    [key] = await add_profiles(wire, name, "likes tea", custom_features={"cups": 3})
    answer = await wire.put("/api/update_user_profile", user_id=name, profile_id=key, content="likes coffee")
    assert answer.json == {"success": True, "msg": "User profile updated successfully"}
    [profile] = await wire.profiles(name)
    assert (profile["content"], profile["custom_features"]) == ("likes coffee", {"cups": 3})
    assert profile["last_modified_timestamp"] > 1_700_000_000
    found = await wire.post("/api/search_profiles", user_id=name, query="coffee")
    assert len(found.json["user_profiles"]) == 1, "a search finds the new text"


async def test_changing_another_users_profile_is_refused(wire: Wire, name: str) -> None:
    [key] = await add_profiles(wire, name, "likes tea")
    other = f"{name}-other"
    answer = await wire.put("/api/update_user_profile", user_id=other, profile_id=key, content="x")
    expected = f"Profile not found: user_id={other!r} profile_id={key!r}"
    assert answer.json == {"success": False, "msg": expected}


async def test_the_change_log_has_nulls(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "a", "b")
    logs = (await wire.get("/api/profile_change_log")).json["profile_change_logs"]
    [log] = [log for log in logs if log["user_id"] == name]
    assert (log["request_id"], log["removed_profiles"]) == (f"r-{name}", [])
    assert [row["content"] for row in log["added_profiles"]] == ["a", "b"]
    nulls = {key for key, value in log["added_profiles"][0].items() if value is None}
    assert nulls == {"custom_features", "status", "extractor_names", "source_span"}


async def test_the_time_in_the_change_log_is_when_profiles_were_added(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "a", last_modified_timestamp=4_000_000_000)
    logs = (await wire.get("/api/profile_change_log")).json["profile_change_logs"]
    [log] = [log for log in logs if log["user_id"] == name]
    assert log["created_at"] < 4_000_000_000


async def test_a_downgrade_swaps_current_and_archived(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "new")
    await add_profiles(wire, name, "old", status="archived")
    answer = (await wire.post("/api/downgrade_all_profiles", user_id="whoever")).json
    demoted, restored = answer["profiles_demoted"], answer["profiles_restored"]
    assert answer["success"]
    assert answer["message"] == f"Downgraded: {demoted} archived, {restored} restored"
    assert [row["content"] for row in await wire.profiles(name)] == ["old"]
    assert [row["content"] for row in await wire.profiles(name, "archived")] == ["new"]


@pytest.mark.parametrize(
    ("row", "kind", "place"),
    [
        ({}, "missing", ["profile_id"]),
        ({"profile_time_to_live": "for ever"}, "enum", ["profile_time_to_live"]),
        ({"embedding": [1.0]}, "value_error", ["embedding"]),
        ({"status": "current"}, "enum", ["status"]),
    ],
    ids=["nothing", "time to live", "embedding", "status"],
)
async def test_a_bad_profile_is_422(wire: Wire, row: dict[str, Any], kind: str, place: list[str]) -> None:
    whole = {
        "profile_id": "x",
        "user_id": "x",
        "content": "x",
        "last_modified_timestamp": 1,
        "generated_from_request_id": "x",
        **row,
    }
    answer = await wire.post("/api/add_user_profile", user_profiles=[whole if row else {}])
    error = answer.json["detail"][0]
    assert (answer.status, error["type"]) == (422, kind)
    assert error["loc"] == ["body", "user_profiles", 0, *place]
