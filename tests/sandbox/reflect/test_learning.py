"""The documented loop with its numbers: retrieve, solve, submit the review, retrieve again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.reflect.conftest import Reflects

TASK = "parse the date of the invoice"
GOOD, BAD = "read the day before the month", "guess the year"


async def test_a_memory_that_helped_comes_before_one_that_misled(reflecting: Reflects) -> None:
    """An agent that follows one memory a round, and passes when it was the good one."""
    async with reflecting() as wire:
        reflections = [{"summary": "on dates", "guidance": guidance} for guidance in (BAD, GOOD)]
        for reflection in reflections:
            await wire.submit(TASK, trajectory=[], review={"result": "pass", "reflection": reflection})
        before = await wire.query(TASK, mmr_lambda=1.0)
        assert [memory["guidance"] for memory in before] == [BAD, GOOD]
        for _ in range(3):
            for memory in before:
                result = "pass" if memory["guidance"] == GOOD else "fail"
                await wire.stored(TASK, retrieved_memory_ids=[memory["id"]], review={"result": result})
        after = {memory["guidance"]: memory for memory in await wire.query(TASK, limit=20, mmr_lambda=1.0)}
        ranks = list(after)
        assert ranks[0] == GOOD
        assert ranks[-1] == BAD
        # q moves 0.3 of the way, three times: 1 - 0.5 * 0.7 ** 3, and 0.5 * 0.7 ** 3.
        assert after[GOOD]["q_value"] == pytest.approx(0.8285)
        assert after[BAD]["q_value"] == pytest.approx(0.1715)
