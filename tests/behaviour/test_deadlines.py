"""An overloaded server: what it refuses, and its deadlines (server-behaviour: Deadlines)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.bench import AGGREGATION

if TYPE_CHECKING:
    from tests.behaviour.bench import Bench
    from tests.behaviour.wire import Answer

_AGGREGATE = "/api/run_playbook_aggregation"
_PUBLISH = "/api/publish_interaction"


@pytest.mark.parametrize(
    ("path", "which", "reason"),
    [("/api/search", "search", "search_deadline"), ("/api/search_profiles", "request", "backstop_timeout")],
)
async def test_a_search_past_its_deadline_is_504(
    bench: Bench, name: str, path: str, which: str, reason: str
) -> None:
    seconds = getattr(bench.timings, which) + 0.5
    answer = await bench.wire.post(path, user_id=name, query=f"waits{seconds}")
    assert answer.status == 504
    correlation = answer.headers["x-correlation-id"]
    assert answer.json == {"detail": "Request timeout", "reason": reason, "correlation_id": correlation}
    assert "Retry-After" not in answer.headers


async def test_a_search_within_its_deadline_is_answered(bench: Bench, name: str) -> None:
    seconds = bench.timings.search / 3
    answer = await bench.wire.post("/api/search", user_id=name, query=f"waits{seconds}")
    assert (answer.status, answer.json["success"]) == (200, True)


async def test_the_ninth_search_at_once_is_429(bench: Bench, name: str) -> None:
    answers = await asyncio.gather(
        *(bench.wire.post("/api/search_profiles", user_id=name, query="waits2.6") for _ in range(9))
    )
    assert sorted(answer.status for answer in answers) == [200] * 8 + [429]
    [refused] = (answer for answer in answers if answer.status == 429)
    assert refused.json == {"detail": "search concurrency limit reached"}
    assert refused.headers["Retry-After"] == "2"


async def _publish(bench: Bench, user_id: str, request_id: str) -> Answer:
    turns = [{"role": "user", "content": "I like sushi"}]
    body: dict[str, Any] = {"session_id": "s", "interaction_data_list": turns, "request_id": request_id}
    return await bench.wire.post(_PUBLISH, user_id=user_id, **body)


async def _known(bench: Bench, request_id: str) -> bool:
    return (await bench.wire.get("/api/learning_status", request_id=request_id)).status == 200


async def test_a_publish_past_its_deadline_is_504_or_503_and_is_not_stored(bench: Bench, name: str) -> None:
    slow = f"{name}-waits{bench.timings.publish + 1.5}"
    running = [asyncio.create_task(_publish(bench, slow, f"{name}-{number}")) for number in range(4)]
    await bench.sleep(0.3)
    without_room = await _publish(bench, slow, f"{name}-x")
    for number, task in enumerate(running):
        answer = await task
        assert answer.status == 504
        assert answer.json["detail"] == {
            "reason": "admission_timeout",
            "request_id": f"{name}-{number}",
            "message": (
                "Admission was not confirmed before the deadline; check this request ID before retrying."
            ),
        }
    assert without_room.status == 503
    assert without_room.json["detail"] == {
        "reason": "capacity_deadline_exceeded",
        "request_id": f"{name}-x",
        "message": (
            "Publish capacity deadline exceeded; nothing was admitted, so this publish can be retried safely."
        ),
    }
    assert "Retry-After" not in without_room.headers
    await bench.sleep(2.0)
    assert not any([await _known(bench, f"{name}-{which}") for which in "0123x"])


async def test_a_fifth_publish_waits(bench: Bench, name: str) -> None:
    seconds = bench.timings.publish / 3
    answers = await asyncio.gather(
        *(_publish(bench, f"{name}-waits{seconds}", f"{name}-{number}") for number in range(5))
    )
    assert [answer.status for answer in answers] == [200] * 5


async def test_eight_publishes_at_once_may_wait_for_their_learning_until_the_deadline(
    bench: Bench, name: str
) -> None:
    async def publish(number: int) -> str:
        user = f"{name}-{number}-learns{bench.timings.publish + 1}"
        turns = [{"role": "user", "content": "I like sushi"}]
        body = {"user_id": user, "session_id": "s", "interaction_data_list": turns, "force_extraction": True}
        answer = await bench.wire.send("POST", f"{_PUBLISH}?wait_for_response=true", json=body)
        assert (answer.status, answer.json["success"], answer.json["profiles_added"]) == (200, True, 0)
        assert answer.json["learning_status"] == "deferred"
        return str(answer.json["learning_reason"])

    reasons = await asyncio.gather(*map(publish, range(9)))
    assert sorted(reasons) == ["wait_timeout"] * 8 + ["waiter_capacity"]


async def test_a_second_aggregation_at_once_is_503(bench: Bench, name: str) -> None:
    version = f"{name}-works{AGGREGATION}"
    first = asyncio.create_task(bench.wire.post(_AGGREGATE, agent_version=version, playbook_name="p"))
    await bench.sleep(0.3)
    second = await bench.wire.post(_AGGREGATE, agent_version=version, playbook_name="p")
    assert (second.status, second.json) == (503, {"detail": "aggregation concurrency limit reached"})
    assert second.headers["Retry-After"] == "1"
    assert (await first).json["success"]


async def test_a_failed_aggregation_is_200_with_the_reason(bench: Bench, name: str) -> None:
    version = f"{name}-fails"
    answer = await bench.wire.post(_AGGREGATE, agent_version=version, playbook_name="p")
    expected = {"success": False, "message": f"scripted failure of {version}"}
    assert (answer.status, answer.json) == (200, expected)
