"""Arguments and uses that ``client.trace(…)`` refuses, before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from reflexio_async import InvalidRequest
from tests.reflect.scene import scene as reflecting

TASK = "count the rows of the orders table"
MESSAGES = [{"role": "user", "content": TASK}, {"role": "assistant", "content": "42"}]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"task": " "}, "task"),
        ({"task": 3}, "task"),
        ({"limit": 0}, "limit"),
        ({"lambda_": 1.5}, "lambda"),
        ({"mmr_lambda": -0.1}, "mmr_lambda"),
        ({"metadata_filter": [1]}, "metadata_filter"),
        ({"similarity_threshold": float("nan")}, "similarity_threshold"),
        ({"reference_context": 3}, "reference_context"),
        ({"alpha": 2}, "alpha"),
        ({"metadata": ["a"]}, "metadata"),
        ({"metadata": {"a": float("nan")}}, "metadata"),
    ],
    ids=str,
)
async def test_unusable_arguments_are_refused_before_any_request(
    arguments: dict[str, Any], says: str
) -> None:
    asked: dict[str, Any] = {"task": TASK, **arguments}
    async with reflecting() as scene:
        with pytest.raises(InvalidRequest, match=rf"trace: .*{says}"):
            scene.client.trace(**asked)
        assert not scene.box.requests


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ({"trajectory": "caf\udce9"}, "trajectory"),
        ({"trajectory": {"role": "user"}}, "trajectory"),
        ({"trajectory": [{"content": "hi"}]}, "trajectory: .*role"),
        ({"trajectory": [{"role": "user", "content": object()}]}, "trajectory"),
        ({"result": "maybe"}, "result: must be 'pass' or 'fail'"),
        ({"result": "pass", "alpha": 2}, "alpha"),
        ({"alpha": -1}, "alpha"),
        ({"final_response": 42}, "final_response"),
        ({"feedback_text": 42}, "feedback_text"),
        ({"metadata": ["a"]}, "metadata"),
        ({"model": 42}, "model"),
        ({"task": ""}, "task"),
        ({"task": "caf\udce9"}, "task"),
        ({"trajectory": [{"role": "user", "content": "caf\udce9"}]}, "trajectory"),
        ({"trajectory": '[{"role": "user", "content": "caf\udce9"}]'}, "trajectory"),
        ({"final_response": "caf\udce9"}, "final_response"),
        ({"feedback_text": "caf\udce9"}, "feedback_text"),
        ({"feedback_text": "caf\udce9", "result": "fail"}, "feedback_text"),
        ({"metadata": {"a": "caf\udce9"}}, "metadata"),
    ],
    ids=ascii,
)
async def test_an_unusable_output_is_refused_by_set_output(output: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"trajectory": MESSAGES, **output}
    async with reflecting() as scene:
        with pytest.raises(InvalidRequest, match=f"set_output: {says}"):
            async with scene.client.trace(TASK) as ctx:
                ctx.set_output(**given)
        assert scene.sent() == 0


async def test_after_an_unusable_output_the_one_before_is_sent() -> None:
    async with reflecting() as scene:
        async with scene.client.trace(TASK) as ctx:
            ctx.set_output(trajectory=MESSAGES)
            with pytest.raises(InvalidRequest):
                ctx.set_output(trajectory="caf\udce9")
        assert ctx.job is not None
        assert (await ctx.job).trajectory == MESSAGES


async def test_a_context_cannot_be_entered_twice() -> None:
    async with reflecting() as scene, scene.client.trace(TASK) as ctx:
        with pytest.raises(InvalidRequest, match=r"was entered already; call trace\(…\) for every run"):
            await ctx.__aenter__()


async def test_a_context_cannot_be_entered_after_it_was_left() -> None:
    async with reflecting() as scene:
        async with scene.client.trace(TASK) as ctx:
            pass
        with pytest.raises(InvalidRequest, match="was left already"):
            await ctx.__aenter__()


async def test_set_output_is_refused_outside_of_the_block() -> None:
    async with reflecting() as scene:
        trace = scene.client.trace(TASK)
        with pytest.raises(
            InvalidRequest,
            match="set_output: call it after entering and before leaving the run; it is not entered yet",
        ):
            trace.set_output(trajectory=MESSAGES)
        async with trace:
            pass
        with pytest.raises(
            InvalidRequest, match="set_output: call it after entering and before leaving the run; it is left"
        ):
            trace.set_output(trajectory=MESSAGES)


async def test_memories_are_refused_before_the_context_is_entered() -> None:
    async with reflecting() as scene:
        trace = scene.client.trace(TASK)
        assert trace.task == TASK
        with pytest.raises(InvalidRequest, match="memories: enter the run first"):
            _ = trace.memories
        with pytest.raises(InvalidRequest, match="augmented_task: enter the run first"):
            _ = trace.augmented_task
