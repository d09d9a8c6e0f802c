"""Searches: words, filters, sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.rows import add_agent_playbooks, add_playbooks, add_profiles, turns

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire


async def _profiles(wire: Wire, user_id: str, query: str | None, **fields: Any) -> list[str]:
    answer = await wire.post("/api/search_profiles", user_id=user_id, query=query, **fields)
    rows = answer.json["user_profiles"]
    assert answer.json["msg"] == f"Found {len(rows)} matching profile(s)"
    return [row["content"] for row in rows]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sushi", ["sushi fan", "more sushi in tokyo please"]),
        ("SUSHI", ["sushi fan", "more sushi in tokyo please"]),
        ("sus", ["sushi fan", "more sushi in tokyo please"]),
        ("tokyo ramen", ["more sushi in tokyo please"]),
        ("fans", ["sushi fan"]),
        ("ramen", []),
        ("?!", []),
    ],
    ids=["word", "case", "beginning", "any of them", "plural", "none", "no words"],
)
async def test_words_find_profiles(wire: Wire, name: str, query: str, found: list[str]) -> None:
    await add_profiles(wire, name, "sushi fan", "more sushi in tokyo please", "likes tea", "hates rain")
    await add_profiles(wire, name, "sushi once", status="archived")
    assert await _profiles(wire, name, query) == found


async def test_without_a_query_all_are_found(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "a", "b", "c")
    assert await _profiles(wire, name, None, top_k=2) == ["a", "b"]


async def test_custom_features_are_searched_and_filter_what_was_found(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "a", custom_features={"dish": "ramen"})
    await add_profiles(wire, name, "likes ramen too")
    assert set(await _profiles(wire, name, "ramen")) == {"a", "likes ramen too"}
    assert await _profiles(wire, name, "ramen", custom_feature="DISH") == ["a"]


async def test_a_session_does_not_change_a_search_of_profiles(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "sushi fan", "sushi lover")
    found = [await _profiles(wire, name, "sushi", top_k=1, session_id=name) for _ in range(2)]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("fields", "kind", "place"),
    [
        ({"search_mode": "x"}, "enum", "search_mode"),
        ({"threshold": 2}, "less_than_equal", "threshold"),
        ({"top_k": 0}, "greater_than", "top_k"),
        ({"user_id": ""}, "value_error", "user_id"),
    ],
    ids=["mode", "threshold", "top_k", "user"],
)
async def test_a_bad_search_is_422(wire: Wire, fields: dict[str, Any], kind: str, place: str) -> None:
    answer = await wire.post("/api/search_profiles", **{"user_id": "u", "query": "q", **fields})
    [error] = answer.json["detail"]
    assert (answer.status, error["type"], error["loc"]) == (422, kind, ["body", place])


async def _turns(wire: Wire, user_id: str, **fields: Any) -> list[str]:
    answer = await wire.post("/api/search_interactions", user_id=user_id, **fields)
    return [row["content"] for row in answer.json["interactions"]]


async def test_interactions_are_found_by_their_words(wire: Wire, name: str) -> None:
    await wire.publish(name, "sushi is fine", "coffee", "tea", request_id=name)
    assert await _turns(wire, name, query="sushi") == ["sushi is fine"]
    assert await _turns(wire, name, query="coffee sushi", most_recent_k=1) == ["coffee"]
    assert len(await _turns(wire, name, query="coffee sushi", top_k=1)) == 2, "top_k is ignored"
    assert await _turns(wire, name, query="sushi", request_id="other") == []
    assert await _turns(wire, name) == [], "without a query nothing"
    assert len(await _turns(wire, name, most_recent_k=2)) == 2, "unless the most recent are asked for"


async def test_interactions_are_read_newest_first(wire: Wire, name: str) -> None:
    await wire.publish(name, "a", "b", request_id=name)
    assert [turn["content"] for turn in await turns(wire, name)] == ["a", "b"], "of one second: in order"
    assert [turn["content"] for turn in await turns(wire, name, top_k=1)] == ["a"]
    assert len(await turns(wire, name, top_k=None)) == 2
    assert await turns(wire, name, end_time="2020-01-01T00:00:00Z") == []
    newest = (await wire.get("/api/get_all_interactions", limit="1")).json["interactions"]
    assert [turn["content"] for turn in newest] == ["b"]
    assert len((await wire.get("/api/get_all_interactions", limit="-1")).json["interactions"]) >= 2
    assert (await wire.get("/api/get_all_interactions", limit="0")).json["interactions"] == []


async def _user_playbooks(wire: Wire, version: str, **fields: Any) -> list[str]:
    answer = await wire.post("/api/search_user_playbooks", agent_version=version, **fields)
    rows = answer.json["user_playbooks"]
    assert answer.json["msg"] == f"Found {len(rows)} matching user playbook(s)"
    return [row["content"] for row in rows]


async def test_user_playbooks_are_found_in_every_status(wire: Wire, name: str) -> None:
    await add_playbooks(wire, name, "always greet", rationale="because")
    await add_playbooks(wire, name, "never greet", status="archived", trigger="angry")
    assert set(await _user_playbooks(wire, name, query="greet")) == {"always greet", "never greet"}
    assert await _user_playbooks(wire, name, query="greet", status_filter=[None]) == ["always greet"]
    assert await _user_playbooks(wire, name, query="angry") == ["never greet"], "the trigger counts"
    assert await _user_playbooks(wire, name, query="because") == [], "the rationale does not"
    assert set(await _user_playbooks(wire, name)) == {"never greet", "always greet"}, "no query: all"


async def test_a_changed_playbook_is_found_by_its_first_text(wire: Wire, name: str) -> None:
    [user] = await add_playbooks(wire, name, "greet")
    [agent] = await add_agent_playbooks(wire, name, "greet")
    await wire.put("/api/update_user_playbook", user_playbook_id=user, content="sing")
    await wire.put("/api/update_agent_playbook", agent_playbook_id=agent, content="sing")
    for query, found in (("greet", ["sing"]), ("sing", [])):
        assert await _user_playbooks(wire, name, query=query) == found
        assert await _agent_playbooks(wire, name, query=query) == found


async def _agent_playbooks(wire: Wire, version: str, **fields: Any) -> list[str]:
    answer = await wire.post("/api/search_agent_playbooks", agent_version=version, **fields)
    rows = answer.json["agent_playbooks"]
    assert answer.json["msg"] == f"Found {len(rows)} matching agent playbook(s)"
    return [row["content"] for row in rows]


async def test_agent_playbooks_are_found_by_words_and_approval(wire: Wire, name: str) -> None:
    await add_agent_playbooks(wire, name, "always greet")
    await add_agent_playbooks(wire, name, "never greet", playbook_status="rejected")
    assert set(await _agent_playbooks(wire, name, query="greet")) == {"always greet", "never greet"}
    rejected = {"playbook_status_filter": "rejected"}
    assert await _agent_playbooks(wire, name, query="greet", **rejected) == ["never greet"]
    either = {"playbook_status_filter": ["rejected", "approved"]}
    assert await _agent_playbooks(wire, name, query="greet", **either) == ["never greet"]


async def test_too_many_user_playbooks_are_422(wire: Wire) -> None:
    answer = await wire.post("/api/search_user_playbooks", top_k=101)
    assert (answer.status, answer.json["detail"][0]["type"]) == (422, "less_than_equal")


async def _everything(wire: Wire, name: str, **fields: Any) -> Any:
    body = {"query": "greet", "user_id": name, "agent_version": name, **fields}
    return (await wire.post("/api/search", **body)).json


def _contents(answer: Any) -> list[list[str]]:
    kinds = ("profiles", "user_playbooks", "agent_playbooks")
    return [[row["content"] for row in answer[kind]] for kind in kinds]


async def test_everything_is_searched_at_once(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "likes to greet")
    await add_playbooks(wire, name, "greet them")
    await add_agent_playbooks(wire, name, "greet all")
    await add_agent_playbooks(wire, name, "greet none", playbook_status="rejected")
    found = await _everything(wire, name)
    assert _contents(found) == [["likes to greet"], ["greet them"], ["greet all"]]
    assert (found["success"], found["degraded"], found["search_mode_effective"]) == (True, True, "fts")
    assert not {"msg", "experiment", "reformulated_query"} & set(found)
    only = await _everything(wire, name, entity_types=["user_playbooks"])
    assert _contents(only) == [[], ["greet them"], []]
    rejected = await _everything(wire, name, agent_playbook_status_filter=["rejected"])
    assert rejected["agent_playbooks"][0]["content"] == "greet none"


async def test_with_a_session_a_search_returns_the_next_results(wire: Wire, name: str) -> None:
    await add_profiles(wire, name, "greet one", "greet two", "greet three")
    found = [await _everything(wire, name, session_id=name, top_k=2) for _ in range(3)]
    pages = [{row["content"] for row in answer["profiles"]} for answer in found]
    assert [len(page) for page in pages] == [2, 1, 0]
    assert pages[0] | pages[1] == {"greet one", "greet two", "greet three"}
    assert len((await _everything(wire, name, session_id=f"{name}-2", top_k=2))["profiles"]) == 2
    assert len((await _everything(wire, name, top_k=2))["profiles"]) == 2, "without one it starts anew"


@pytest.mark.parametrize(
    ("fields", "kind", "place"),
    [
        ({"query": " "}, "value_error", ["query"]),
        ({"entity_types": ["bogus"]}, "literal_error", ["entity_types", 0]),
        ({"conversation_history": [{"role": "user"}]}, "missing", ["conversation_history", 0, "content"]),
        ({"user_id": "u" * 256}, "string_too_long", ["user_id"]),
    ],
    ids=["query", "kind", "history", "user"],
)
async def test_a_bad_search_of_everything_is_422(
    wire: Wire, fields: dict[str, Any], kind: str, place: list[Any]
) -> None:
    answer = await wire.post("/api/search", **{"query": "q", **fields})
    [error] = answer.json["detail"]
    assert (answer.status, error["type"], error["loc"]) == (422, kind, ["body", *place])


async def test_reranking_an_empty_list_succeeds(wire: Wire) -> None:
    answer = await wire.post("/api/rerank_user_profiles", user_id="u", query="q", profile_ids=[])
    assert answer.json == {"success": True, "user_profiles": [], "msg": "No profile_ids provided"}
