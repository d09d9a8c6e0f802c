"""Reviews change q-values and the ranking of memories, as documented. Runs on the sandbox."""

from __future__ import annotations

import pytest

from tests.reflect.scene import MESSAGES, scene

TASK = "parse the date of an invoice"


async def test_a_memory_that_helped_ranks_above_one_that_misled() -> None:
    async with scene() as s:
        helps = s.box.reflect.seed_memory(TASK, guidance="the day comes first")
        misleads = s.box.reflect.seed_memory(TASK, guidance="the month comes first")
        for number in range(6):
            # In each round the run gets one of the two memories, and passes or fails because of it.
            used = helps if number % 2 else misleads
            right = used is helps
            augmented = await s.client.augment_with_memories(TASK)
            assert used.id in {memory.id for memory in augmented.memories}
            trace = await s.client.create_trace_and_wait(
                task=TASK,
                trajectory=[{"role": "user", "content": augmented.augmented_task}, *MESSAGES],
                retrieved_memory_ids=[used.id],
                review_result="pass" if right else "fail",
                feedback_text=None if right else "the month was taken for the day",
            )
            assert trace.created_memory_id is not None
        found = {memory.id: memory for memory in await s.client.query_memories(TASK, mmr_lambda=1)}
        # q ← q + 0.3 (r - q), three times, from 0.5.
        assert found[helps.id].q_value == pytest.approx(1 - 0.5 * 0.7**3)
        assert found[misleads.id].q_value == pytest.approx(0.5 * 0.7**3)
        ranking = list(found)
        assert ranking[0] == helps.id
        assert ranking[-1] == misleads.id


async def test_a_review_moves_q_values_by_its_alpha() -> None:
    async with scene() as s:
        memory = s.box.reflect.seed_memory(TASK)
        await s.client.create_trace_and_wait(
            task=TASK, trajectory=[], retrieved_memory_ids=[memory.id], review_result="pass", alpha=1
        )
        [worth] = [one.q_value for one in await s.client.query_memories(TASK) if one.id == memory.id]
        assert worth == 1


async def test_a_run_gets_the_memory_of_the_run_before() -> None:
    async with scene(ingest_seconds=1) as s:
        assert (await s.client.augment_with_memories(TASK)).memories == []
        await s.client.create_trace_and_wait(
            task=TASK, trajectory=MESSAGES, review_result="fail", feedback_text="the day comes first"
        )
        augmented = await s.client.augment_with_memories(TASK)
        assert [memory.success for memory in augmented.memories] == [False]
        assert "the day comes first" in augmented.augmented_task
