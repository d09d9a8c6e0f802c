"""Schedules and cases that once failed, each as small as possible."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from reflexio_async import (
    BatchProgress,
    InvalidRequest,
    OutcomeState,
    ReflexioError,
)
from reflexio_async.sandbox import faults
from tests.faults.running import run_schedule
from tests.faults.schedules import (
    Publish,
    PublishBatch,
    RerunBatch,
    Reruns,
    Schedule,
    ScheduledFault,
)
from tests.scene import PLAYBOOKS, PUBLISH, RERUN, STATUS, scene

CANCEL = "/api/cancel_operation"
GET_REQUESTS = "/api/get_requests"


def publish_of(text: str, **more: Any) -> dict[str, Any]:
    return {"user_id": "u", "session_id": "s", "interactions": [{"role": "user", "content": text}], **more}


SCHEDULES = {
    "stopped publishes do not wait for the limit": Schedule(
        steps=(PublishBatch(count=8, streamed=True, stop_after=30.0),),
        scheduled_faults=(ScheduledFault("rate_limited", PUBLISH, times=None),),
    ),
    "a publish under way when the client is left may be stored": Schedule(
        steps=(Publish(), PublishBatch(at=0.5, count=8, own_ids=True)), leave_at=0.5, by_error=True
    ),
    "a lane may be made while the client drains": Schedule(
        steps=(Reruns(count=2), Reruns(at=1.0, playbooks=True)), users=2, rerun_seconds=4.0, leave_at=0.5
    ),
    "an unreadable answer to a publish": Schedule(
        steps=(PublishBatch(count=3), Publish(at=1.0)),
        scheduled_faults=(ScheduledFault("broken_json", PUBLISH, times=None),),
    ),
    "an unreadable answer to a start": Schedule(
        steps=(RerunBatch(count=2), Reruns(at=1.0, count=2)),
        users=2,
        scheduled_faults=(ScheduledFault("broken_json", RERUN, times=3),),
    ),
    "a lost answer, then a refusal": Schedule(
        steps=(PublishBatch(count=1),),
        scheduled_faults=(
            ScheduledFault("cut_off", PUBLISH),
            ScheduledFault("refused", PUBLISH, ("not today",)),
        ),
    ),
    "a status that is refused while a rerun runs": Schedule(
        steps=(RerunBatch(count=2),),
        users=2,
        rerun_seconds=4.0,
        scheduled_faults=(ScheduledFault("status", STATUS, (403,), times=None, after=2),),
    ),
    "a start that never succeeds": Schedule(
        steps=(Reruns(count=2), RerunBatch(at=5.0, count=2)),
        users=2,
        scheduled_faults=(ScheduledFault("internal_error", RERUN, times=None),),
    ),
    "learning, left behind": Schedule(
        steps=(Publish(learn=True), Publish(learn=True), Publish(learn=True)), leave_at=5.0, by_error=True
    ),
    "refusals handed over as answers": Schedule(
        steps=(PublishBatch(count=2), RerunBatch(count=2)),
        users=2,
        raise_on_refusal=False,
        scheduled_faults=(
            ScheduledFault("refused", PUBLISH, ("not today",)),
            ScheduledFault("refused", RERUN, ("not today",)),
        ),
    ),
    "a start soon after the status of the one before could not be read": Schedule(
        steps=(RerunBatch(), RerunBatch(at=0.5)),
        rerun_seconds=4.0,
        scheduled_faults=(ScheduledFault("broken_json", STATUS, after=1),),
    ),
    "a limit on the status, with no waiter left": Schedule(
        steps=(Reruns(count=4, disturb_after=0.5), Reruns(count=1, playbooks=True)),
        users=4,
        rerun_seconds=45.0,
        scheduled_faults=(ScheduledFault("rate_limited", STATUS, times=6, after=4),),
    ),
}


@pytest.mark.parametrize("schedule", [pytest.param(made, id=name) for name, made in SCHEDULES.items()])
async def test_a_schedule_that_once_failed(schedule: Schedule) -> None:
    await run_schedule(schedule)


async def test_a_status_asked_before_a_start_does_not_prove_that_the_start_never_arrived() -> None:
    async with scene(2, rerun_seconds=1.0) as play:
        first = await play.client.rerun_profile_generation(user_id="user-0")
        await first
        token = json.dumps(json.loads(first.token or "") | {"id": "of another client"})
        play.box.faults.add(faults.delay(4.0, after_effect=True), path=STATUS)
        play.box.faults.add(faults.answer_lost(), path=RERUN)
        late = asyncio.ensure_future(play.client.job(token).refresh())
        await play.box.arrived("GET", STATUS, play.status_requests() + 1)
        second = await play.client.rerun_profile_generation(user_id="user-1")
        await late
        assert (await second).success
        assert [operation.params["user_id"] for operation in play.box.operations()] == ["user-0", "user-1"]


async def test_two_readers_of_one_stream_both_end() -> None:
    async with scene(4) as play:
        seen: list[str] = []

        async with play.client.rerun_profiles_many(play.users) as batch:

            async def read() -> None:
                async for outcome in batch:
                    seen.append(outcome.key)  # noqa: PERF401  # the point is to stream

            async with play.clock.timeout(100.0):
                await asyncio.gather(read(), read())
        assert sorted(seen) == play.users


async def test_a_lost_publish_that_is_retried_as_a_batch_is_recognised_as_stored() -> None:
    async with scene(client={"timeout": 5.0}) as play:
        play.box.faults.add(faults.freeze(after_effect=True), path=PUBLISH)
        report = await play.client.publish_many([publish_of("a")])
        assert [row.state for row in report] == [OutcomeState.LOST]
        again = await report.retry_failed("lost")
        assert [row.state for row in again] == [OutcomeState.COMPLETED]
        assert len(play.box.stored_requests) == 1


@pytest.mark.parametrize("own", [True, False])
async def test_not_being_able_to_check_what_is_stored_is_no_proof_of_failure(own: bool) -> None:  # noqa: FBT001
    async with scene() as play:
        play.box.faults.add(faults.answer_lost(), path=PUBLISH)
        play.box.faults.add(faults.status(403), path=GET_REQUESTS, times=None)
        report = await play.client.publish_many([publish_of("a", **({"request_id": "r"} if own else {}))])
        wanted = OutcomeState.LOST if own else OutcomeState.COMPLETED
        assert [row.state for row in report] == [wanted]
        assert len(play.box.stored_requests) == 1


async def test_an_own_id_that_cannot_be_checked_leaves_the_outcome_unknown() -> None:
    async with scene() as play:
        play.box.faults.add(faults.answer_lost(), path=PUBLISH)
        play.box.faults.add(faults.lost_before(), path=GET_REQUESTS, times=None)
        with pytest.raises(ReflexioError) as raised:
            await play.client.publish_interaction(**publish_of("a", request_id="r"))
        error = raised.value
        assert getattr(error, "outcome_unknown", False) or getattr(error, "repeated", False)


@pytest.mark.parametrize("on_progress", ["text", 3])
async def test_a_progress_hook_that_cannot_be_called_is_refused_at_once(on_progress: Any) -> None:
    async with scene(1) as play:
        with pytest.raises(InvalidRequest, match="on_progress"):
            await play.client.rerun_profiles_many(play.users, on_progress=on_progress)


async def test_an_async_progress_hook_is_refused_at_once() -> None:
    async def hook(progress: BatchProgress) -> None: ...

    async with scene(1) as play:
        with pytest.raises(InvalidRequest, match="on_progress"):
            await play.client.rerun_profiles_many(play.users, on_progress=hook)  # type: ignore[arg-type]


async def test_playbooks_and_profiles_are_refused_alike() -> None:
    async with scene(1, client={"raise_on_refusal": False}) as play:
        play.box.faults.add(faults.refused("not today", field_name="msg"), path=PLAYBOOKS, times=None)
        report = await play.client.rerun_playbooks_many(["v1"])
        assert [row.state for row in report] == [OutcomeState.FAILED]
