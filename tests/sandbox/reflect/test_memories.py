"""Memories: how they are created, found and rewarded."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.reflect.wire import FAILED, PASSED, TURNS

if TYPE_CHECKING:
    from tests.sandbox.reflect.conftest import Reflects


async def test_a_passed_trace_creates_a_memory_of_what_worked(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        await wire.stored("2 + 2", review=PASSED)
        [memory] = await wire.query("2 + 2")
        assert (memory["task"], memory["success"], memory["q_value"]) == ("2 + 2", True, 0.5)
        assert (memory["correct_action"], memory["key_mistake"]) == ("4", "")
        assert memory["guidance"] in memory["reflection"]


async def test_a_failed_trace_creates_a_memory_of_the_mistake(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        await wire.stored("2 + 2", review=FAILED)
        [memory] = await wire.query("2 + 2")
        assert (memory["success"], memory["key_mistake"]) == (False, "forgot to carry")
        assert "forgot to carry" in memory["guidance"]


async def test_a_memory_names_the_tools_in_order_of_first_use(reflecting: Reflects) -> None:
    calls = [{"function": {"name": "search"}}, {"name": "add"}, {"function": {"name": "search"}}]
    async with reflecting() as wire:
        used = [{"role": "assistant", "content": None, "tool_calls": calls}, *TURNS]
        await wire.stored(trajectory=used, review=PASSED)
        [memory] = await wire.query()
        assert memory["tools_used"] == ["search", "add"]


async def test_the_same_task_gives_the_same_lesson(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        for _ in range(2):
            await wire.stored(review=FAILED)
        one, other = await wire.query()
        assert {**one, "id": ""} == {**other, "id": ""}


async def test_a_trace_without_a_review_creates_no_memory(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        await wire.stored()
        assert await wire.query() == []


@pytest.mark.parametrize(
    ("task", "similarity"),
    [("sort a list", 1.0), ("A list: sort!", 1.0), ("sort a tree", 2 / 3), ("walk the dog", 0.0)],
)
async def test_similarity_is_the_cosine_between_the_words(
    reflecting: Reflects, task: str, similarity: float
) -> None:
    async with reflecting() as wire:
        wire.box.reflect.seed_memory("sort a list")
        [memory] = await wire.query(task, similarity_threshold=0.0)
        assert memory["similarity"] == pytest.approx(similarity)


@pytest.mark.parametrize(("blend", "score"), [(1.0, 1.0), (0.0, 0.2), (0.5, 0.6), (0.25, 0.4)])
async def test_the_score_combines_similarity_and_q_value(
    reflecting: Reflects, blend: float, score: float
) -> None:
    async with reflecting() as wire:
        wire.box.reflect.seed_memory("sort a list", q_value=0.2)
        [memory] = await wire.query("sort a list", **{"lambda": blend})
        assert memory["score"] == pytest.approx(score)


@pytest.mark.parametrize(("blend", "first"), [(1.0, "sort a list"), (0.0, "sort a tree")])
async def test_lambda_decides_what_comes_first(reflecting: Reflects, blend: float, first: str) -> None:
    async with reflecting() as wire:
        wire.box.reflect.seed_memory("sort a list", q_value=0.1)
        wire.box.reflect.seed_memory("sort a tree", q_value=0.9)
        memories = await wire.query("sort a list", **{"lambda": blend, "mmr_lambda": 1.0})
        assert memories[0]["task"] == first


async def test_without_diversity_matches_are_sorted_by_score(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        for number in range(20):
            wire.box.reflect.seed_memory(f"sort list {number}", q_value=number * 7 % 20 / 20)
        memories = await wire.query("sort list 3", limit=20, mmr_lambda=1.0)
        scores = [memory["score"] for memory in memories]
        assert len(scores) == 20
        assert all(one >= other for one, other in pairwise(scores))


async def test_diversity_prefers_another_memory_to_a_similar_one(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        for task, q_value in [("sort a list", 0.9), ("sort a list", 0.8), ("sort my mail", 0.8)]:
            wire.box.reflect.seed_memory(task, q_value=q_value)
        alike = await wire.query("sort a list", mmr_lambda=1.0)
        mixed = await wire.query("sort a list", mmr_lambda=0.3)
        assert [memory["task"] for memory in alike] == ["sort a list", "sort a list", "sort my mail"]
        assert [memory["task"] for memory in mixed] == ["sort a list", "sort my mail", "sort a list"]


async def test_diversity_compares_with_all_chosen_memories(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        tasks = {"sort a list": 1.0, "walk my dog": 0.9, "sort the list": 0.8, "feed a cat": 0.5}
        for task, q_value in tasks.items():
            wire.box.reflect.seed_memory(task, q_value=q_value)
        asked = {"lambda": 0.0, "mmr_lambda": 0.5, "similarity_threshold": 0.0, "limit": 3}
        memories = await wire.query("sort a list", **asked)
        assert [memory["task"] for memory in memories] == ["sort a list", "walk my dog", "feed a cat"]


async def test_a_little_diversity_is_the_default(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        for task, q_value in [("sort a list", 0.9), ("sort a list", 0.3), ("sort one list", 0.5)]:
            wire.box.reflect.seed_memory(task, q_value=q_value)
        assert await wire.query("sort a list") == await wire.query("sort a list", mmr_lambda=0.7)


@pytest.mark.parametrize("mmr", [1.0, 0.5])
async def test_no_more_than_the_limit(reflecting: Reflects, mmr: float) -> None:
    async with reflecting() as wire:
        for number in range(30):
            wire.box.reflect.seed_memory(f"task {number}")
        assert len(await wire.query("task", limit=7, mmr_lambda=mmr)) == 7


async def test_ten_are_the_default_limit(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        for number in range(30):
            wire.box.reflect.seed_memory(f"task {number}")
        assert len(await wire.query("task")) == 10


async def test_memories_below_the_threshold_are_left_out(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        wire.box.reflect.seed_memory("sort a list")
        assert len(await wire.query("sort a tree", similarity_threshold=0.66)) == 1
        assert await wire.query("sort a tree", similarity_threshold=0.67) == []


async def test_the_default_threshold_leaves_out_memories_without_a_common_word(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        wire.box.reflect.seed_memory("sort a list")
        assert await wire.query("walk the dog") == []


async def test_the_default_threshold_is_a_setting(reflecting: Reflects) -> None:
    async with reflecting(similarity_threshold=0.9) as wire:
        wire.box.reflect.seed_memory("sort a list")
        assert await wire.query("sort a tree") == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [({"team": "a"}, 2), ({"team": "a", "run": 1}, 1), ({"run": 3}, 0), ({"absent": None}, 0), ({}, 3)],
)
async def test_a_filter_needs_all_of_its_metadata(
    reflecting: Reflects, wanted: dict[str, Any], found: int
) -> None:
    async with reflecting() as wire:
        for metadata in ({"team": "a", "run": 1}, {"team": "a", "run": 2}, {}):
            await wire.stored(metadata=metadata, review=PASSED)
        assert len(await wire.query(metadata_filter=wanted)) == found


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("refund", 2),
        ("cancel", 1),
        ("exchange", 0),
        ("fund", 0),
        (["refund", "cancel"], 1),
        (["refund"], 0),
        (7, 1),
    ],
    ids=str,
)
async def test_a_filter_finds_its_value_anywhere_in_a_list(
    reflecting: Reflects, wanted: Any, found: int
) -> None:
    async with reflecting() as wire:
        for types in (["refund", "cancel"], ["refund", 7], "exchanges", {"refund": 1}, []):
            await wire.stored(metadata={"action_types": types}, review=PASSED)
        assert len(await wire.query(metadata_filter={"action_types": wanted})) == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": ""},
        {"limit": 0},
        {"limit": -1},
        {"lambda": 1.5},
        {"lambda": -0.1},
        {"mmr_lambda": 2},
        {"metadata_filter": "team"},
        {"similarity_threshold": 2},
    ],
)
async def test_an_invalid_query_is_refused(reflecting: Reflects, wrong: dict[str, Any]) -> None:
    async with reflecting() as wire:
        answer = await wire.post(wire.at("/memory/query"), **{"task": "t", **wrong})
        assert (answer.status, answer.json["detail"][0]["loc"]) == (422, ["body", *wrong])


async def test_memories_are_found_only_in_their_project(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        wire.box.reflect.seed_memory("sort a list", project_id="other")
        assert await wire.query("sort a list") == []


@pytest.mark.parametrize(
    ("review", "q_value"),
    [
        (PASSED, 0.65),
        (FAILED, 0.35),
        ({"result": "pass", "alpha": 0.1}, 0.55),
        ({"result": "fail", "alpha": 1.0}, 0.0),
        ({"result": "pass", "alpha": 0.0}, 0.5),
    ],
    ids=["pass", "fail", "cautious pass", "bold fail", "pass that counts for nothing"],
)
@pytest.mark.parametrize("mode", ["inline", "deferred"])
async def test_a_review_moves_the_q_values_of_retrieved_memories(
    reflecting: Reflects, review: dict[str, Any], q_value: float, mode: str
) -> None:
    async with reflecting() as wire:
        memory = wire.box.reflect.seed_memory("2 + 2")
        if mode == "inline":
            await wire.stored(retrieved_memory_ids=[memory.id], review=review)
        else:
            await wire.review((await wire.stored(retrieved_memory_ids=[memory.id]))["id"], **review)
        found = {found["id"]: found["q_value"] for found in await wire.query()}
        assert found[memory.id] == pytest.approx(q_value)


async def test_alpha_and_the_initial_q_value_are_settings(reflecting: Reflects) -> None:
    async with reflecting(alpha=0.5, initial_q=0.2) as wire:
        first = await wire.stored(review=PASSED)
        await wire.stored(retrieved_memory_ids=[first["created_memory_id"]], review=PASSED)
        assert sorted(memory["q_value"] for memory in await wire.query()) == pytest.approx([0.2, 0.6])


async def test_a_memory_retrieved_twice_is_rewarded_once(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        memory = wire.box.reflect.seed_memory("2 + 2")
        await wire.stored(retrieved_memory_ids=[memory.id, memory.id], review=PASSED)
        assert memory.q_value == pytest.approx(0.65)


async def test_unknown_memory_ids_and_those_of_other_projects_are_ignored(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        foreign = wire.box.reflect.seed_memory("2 + 2", project_id="other")
        trace = await wire.stored(retrieved_memory_ids=[foreign.id, "nowhere"], review=PASSED)
        assert (trace["review_status"], foreign.q_value) == ("reviewed", 0.5)


async def test_an_authored_reflection_rewards_retrieved_memories(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        memory = wire.box.reflect.seed_memory("2 + 2")
        reflection = {"summary": "s", "guidance": "g"}
        await wire.submit(retrieved_memory_ids=[memory.id], review={**PASSED, "reflection": reflection})
        assert memory.q_value == pytest.approx(0.65)
