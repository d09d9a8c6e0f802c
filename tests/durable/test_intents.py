"""Jobs that an engine starts in steps, each of which it repeats after a crash; and linked cancellation."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient, InvalidRequest, JobCancelled, JobFailed
from reflexio_async.testing import faults
from tests.scene import RERUN, scene

if TYPE_CHECKING:
    from pathlib import Path

    from reflexio_async.sandbox import Sandbox, VirtualClock


def new_client(box: Sandbox, clock: VirtualClock, **options: Any) -> AsyncReflexioClient:
    return AsyncReflexioClient(url_endpoint=box.url, clock=clock, **options)


@pytest.mark.parametrize("dialect", ["correlated", "uncorrelated"])
async def test_a_step_that_died_after_the_admission_is_adopted(dialect: str) -> None:
    async with scene(1, rerun_seconds=5, dialect=dialect) as play:
        await (await play.client.rerun_profile_generation(user_id="user-0"))  # an equal one, before
        await play.box.advance(2)
        intent = await play.client.intent("profile_rerun", user_id="user-0")
        async with new_client(play.box, play.clock) as died:
            job = await died.start_or_adopt(intent)
            await died.aclose(drain=False)
        again = await play.client.start_or_adopt(intent)
        assert again.id == job.id
        assert (await again).success
        assert len(play.box.operations()) == 2


async def test_a_step_that_died_before_the_admission_starts_the_job() -> None:
    async with scene(1) as play:
        intent = await play.client.intent("profile_rerun", user_id="user-0")
        play.box.faults.add(faults.freeze(), path=RERUN)
        async with new_client(play.box, play.clock) as died:
            step = asyncio.create_task(died.start_or_adopt(intent))
            await play.box.arrived("POST", RERUN)
            step.cancel()
            await asyncio.wait([step])
            await died.aclose(drain=False)
        job = await play.client.start_or_adopt(intent)
        assert (await job).success
        assert len(play.box.operations()) == 1


async def test_a_step_that_is_repeated_in_one_process_gets_the_same_job() -> None:
    async with scene(2, rerun_seconds=5) as play:
        await play.client.rerun_profile_generation(user_id="user-1")
        intent = await play.client.intent("profile_rerun", user_id="user-0")
        jobs = await asyncio.gather(*(play.client.start_or_adopt(intent) for _ in range(3)))
        await asyncio.gather(*jobs)
        assert len(play.box.operations()) == 2


async def test_with_a_store_a_step_is_exact_also_when_others_ran_in_between(tmp_path: Path) -> None:
    async with scene(2, client={"store": tmp_path / "r.db"}) as play:
        intent = await play.client.intent("profile_rerun", user_id="user-0")
        first = await (await play.client.start_or_adopt(intent))
        await (await play.client.rerun_profile_generation(user_id="user-1"))
        assert await (await play.client.start_or_adopt(intent)) == first
        assert len(play.box.operations()) == 2


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("profile_rerun", {"user_id": "user-0"}),
        ("playbook_rerun", {"agent_version": "agent-v0"}),
        ("manual_profiles", {"user_id": "user-0"}),
        ("manual_playbooks", {"agent_version": "agent-v0"}),
    ],
)
async def test_every_kind_of_job_in_a_slot_has_intents(kind: str, fields: dict[str, Any]) -> None:
    async with scene(1) as play:
        job = await play.client.start_or_adopt(await play.client.intent(kind, **fields))
        assert (await job).success


async def test_an_intent_is_json_without_the_key() -> None:
    async with scene(1, api_key="s3cret-key", client={"api_key": "s3cret-key"}) as play:
        intent = await play.client.intent("profile_rerun", user_id="user-0")
        assert json.loads(intent)["request"] == {"user_id": "user-0"}
        assert "s3cret" not in intent


@pytest.mark.parametrize("text", ["", "{}", "null", '{"v":9}'])
async def test_what_is_no_intent_is_refused(text: str) -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match="intent"):
            await play.client.start_or_adopt(text)


@pytest.mark.parametrize("field", ["id", "kind", "url", "request", "before"])
async def test_an_intent_with_a_field_of_another_type_is_refused(field: str) -> None:
    async with scene(1) as play:
        noted = json.loads(await play.client.intent("profile_rerun", user_id="user-0"))
        with pytest.raises(InvalidRequest, match="not an intent of this release"):
            await play.client.start_or_adopt(json.dumps(noted | {field: ["x"]}))


async def test_an_intent_that_was_not_awaited_is_refused_with_its_type() -> None:
    async with scene() as play:
        text: Any = play.client.intent("profile_rerun", user_id="user-0")
        with pytest.raises(InvalidRequest, match="not coroutine"):
            await play.client.start_or_adopt(text)
        await text


async def test_a_step_that_is_repeated_after_a_failure_starts_nothing() -> None:
    async with scene(1) as play:
        intent = await play.client.intent("profile_rerun", user_id="nobody")
        for _ in range(2):
            async with new_client(play.box, play.clock) as client:
                job = await client.start_or_adopt(intent)
                with pytest.raises(JobFailed):
                    await job
        assert len(play.box.operations()) == 1


async def test_an_unknown_kind_and_argument_are_refused() -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match="profile_rerun"):
            await play.client.intent("dance")
        with pytest.raises(InvalidRequest, match="user_id"):
            await play.client.intent("playbook_rerun", user_id="ana")


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
@pytest.mark.parametrize("stored", [True, False])
async def test_leaving_a_linked_block_by_an_error_cancels_the_job(
    tmp_path: Path, error: type[BaseException], *, stored: bool
) -> None:
    options = {"store": tmp_path / "r.db"} if stored else {}
    async with scene(3, rerun_seconds=10, client=options) as play:
        job = await play.client.rerun_profile_generation()
        with pytest.raises(error):
            async with job.linked():
                raise error
        with pytest.raises(JobCancelled):
            await job


async def test_leaving_a_linked_block_normally_leaves_the_job_alone() -> None:
    async with scene(2, rerun_seconds=10) as play:
        job = await play.client.rerun_profile_generation()
        async with job.linked() as same:
            assert same is job
        assert (await job).success


async def test_a_linked_job_whose_slot_has_passed_on_cancels_no_other() -> None:
    async with scene(2, rerun_seconds=10) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        with suppress(ZeroDivisionError):
            async with job.linked():
                await play.box.advance(15)
                play.box.start_foreign_operation(seconds=50)
                raise ZeroDivisionError
        assert play.box.count("POST", "/api/cancel_operation") == 0
