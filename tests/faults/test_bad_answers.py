"""One bad answer, of every kind, to every sort of request: what may pass does, and nothing is done twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    PermissionDenied,
    UnexpectedResponse,
)
from reflexio_async.sandbox import Sandbox, faults
from reflexio_async.sandbox.http.responses import Response
from tests.reflect.scene import MESSAGES, TRACES
from tests.reflect.scene import scene as reflect_scene
from tests.scene import PUBLISH, RERUN, STATUS, Scene, scene

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async.sandbox.fault_script import Action
    from reflexio_async.sandbox.http.context import RequestContext

INTERACTIONS = "/api/get_interactions"
TURN = {"role": "user", "content": "I like tea"}
QUOTA = "429 of the quota"  # it is waited for: 60 s


@dataclass(frozen=True)
class Answer:
    """An answer that is not of the API. The request has no effect."""

    body: str
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict[str, str])

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:  # noqa: ARG002
        return Response(self.body, self.status, self.headers, self.content_type)


# What answers, and whether the client knows that the request was not done.
KINDS: dict[str, tuple[Action, bool]] = {
    "a page": (faults.html(200), False),
    "an empty body": (Answer("", content_type="application/json"), False),
    "no content": (Answer("", 204), False),
    "half of the JSON": (faults.broken_json(), False),
    "garbage instead of gzip": (Answer("xx", headers={"Content-Encoding": "gzip"}), False),
    "an unknown encoding": (Answer("xx", headers={"Content-Encoding": "zz"}), False),
    "the connection closed before": (faults.lost_before(), False),
    "the connection closed after": (faults.answer_lost(), False),
    "the connection closed half-way": (faults.cut_off(), False),
    "a redirect": (faults.status(302, headers={"Location": "https://login.example/"}), True),
    "a permanent redirect": (Answer("", 308, headers={"Location": "/sorry"}), True),
    "a page with 403": (faults.html(403), True),
    "a page with 404": (faults.html(404), True),
    "a gateway's 404": (faults.status(404, {"message": "no Route matched with those values"}), True),
    "a page with 429": (faults.html(429), True),
    "408": (Answer("", 408), True),
    "408 in JSON": (faults.status(408), True),
    "421": (faults.status(421), True),
    "425": (faults.status(425), True),
    QUOTA: (faults.rate_limited(), True),
    "429 of concurrency": (faults.crowded(), True),
    "500": (faults.internal_error(), False),
    "500 after the effect": (faults.internal_error(after_effect=True), False),
    "a page with 502": (faults.html(502), False),
    "a page with 503": (faults.html(503), False),
    "503 with a reason": (faults.status(503, {"detail": "busy"}), True),
    "504": (faults.status(504), False),
    "a status that does not exist": (Answer("", 599), False),
}
SURELY_NOT_DONE = [name for name, (_, not_done) in KINDS.items() if not_done]
any_kind = pytest.mark.parametrize("kind", KINDS)


def play_once(box: Sandbox, kind: str, method: str, path: str, *, after: int = 0) -> None:
    action, _ = KINDS[kind]
    box.faults.add(action, method=method, path=path, after=after)


async def publish(play: Scene, request_id: str) -> Any:
    return await play.client.publish_interaction("ana", [TURN], session_id="s", request_id=request_id)


@any_kind
async def test_a_bad_answer_to_a_status_request_costs_a_rerun_nothing(kind: str) -> None:
    async with scene(1, rerun_seconds=20.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        play_once(play.box, kind, "GET", STATUS, after=1)
        assert (await job).success
        assert play.clock.now() < (90.0 if kind == QUOTA else 30.0)


@any_kind
async def test_a_bad_answer_to_a_status_request_costs_a_trace_nothing(kind: str) -> None:
    async with reflect_scene(ingest_seconds=20.0, client={"wait_timeout": 100.0}) as s:
        job = await s.client.create_trace(task="t", trajectory=MESSAGES)
        play_once(s.box, kind, "GET", f"{TRACES}/{job.id}", after=1)
        assert (await job).id == job.id
        assert s.clock.now() < (90.0 if kind == QUOTA else 30.0)


@any_kind
async def test_a_read_is_tried_again_after_a_bad_answer(kind: str) -> None:
    async with scene() as play:
        await publish(play, "r1")
        play_once(play.box, kind, "POST", INTERACTIONS)
        assert len((await play.client.get_interactions(user_id="ana")).interactions) == 1


@any_kind
async def test_a_start_that_got_a_bad_answer_begins_once(kind: str) -> None:
    async with scene(2) as play:
        await (await play.client.rerun_profile_generation(user_id="user-0"))
        play_once(play.box, kind, "POST", RERUN)
        assert (await (await play.client.rerun_profile_generation(user_id="user-1"))).success
        assert len(play.box.operations()) == 2


@any_kind
async def test_a_publish_that_got_a_bad_answer_is_stored_once(kind: str) -> None:
    async with scene() as play:
        await play.client.publish_interaction("ana", [TURN], session_id="s")
        play_once(play.box, kind, "POST", PUBLISH)
        assert (await play.client.publish_interaction("ana", [TURN], session_id="s")).success
        assert len(play.box.stored_requests) == 2


@any_kind
async def test_a_trace_that_got_a_bad_answer_is_sent_again_only_if_it_was_surely_not_stored(
    kind: str,
) -> None:
    async with reflect_scene(client={"timeout": 100.0}) as s:
        await s.client.create_trace(task="first", trajectory=MESSAGES)
        play_once(s.box, kind, "POST", TRACES)
        if kind in SURELY_NOT_DONE:
            assert (await (await s.client.create_trace(task="t", trajectory=MESSAGES))).task == "t"
            assert len(await s.client.list_traces()) == 2
            return
        with pytest.raises((APIConnectionError, APIStatusError, UnexpectedResponse)) as caught:
            await s.client.create_trace(task="t", trajectory=MESSAGES)
        error: Any = caught.value
        assert error.outcome_unknown
        assert s.sent() == 2


@any_kind
async def test_one_bad_answer_costs_a_batch_of_forty_nothing(kind: str) -> None:
    async with scene(40, rerun_seconds=0.5) as play:
        play_once(play.box, kind, "GET", STATUS, after=25)
        play_once(play.box, kind, "POST", RERUN, after=25)
        report = await play.client.rerun_profiles_many(play.users)
        assert report.counts() == {"completed": 40}
        assert len(play.box.operations()) == 40


@any_kind
async def test_one_bad_answer_costs_forty_publishes_nothing(kind: str) -> None:
    async with scene() as play:
        play_once(play.box, kind, "POST", PUBLISH, after=10)
        items = [{"user_id": f"u{n}", "session_id": "s", "interactions": [TURN]} for n in range(40)]
        report = await play.client.publish_many(items)
        assert report.counts() == {"completed": 40}
        assert len(play.box.stored_requests) == 40


# --- what will not pass


@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (403, PermissionDenied)])
async def test_a_credential_that_is_refused_once_costs_nothing(
    status: int, error: type[APIStatusError]
) -> None:
    async with scene(1, rerun_seconds=20.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        play.box.faults.add(faults.status(status), path=STATUS)
        assert (await job).success
        job = await play.client.rerun_profile_generation(user_id="user-0")
        play.box.faults.add(faults.status(status), path=STATUS, times=2)
        with pytest.raises(error):
            await job


@pytest.mark.parametrize("status", [400, 422])
async def test_a_status_request_that_the_api_refuses_ends_the_wait_at_once(status: int) -> None:
    async with scene(1, rerun_seconds=20.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        play.box.faults.add(faults.status(status), path=STATUS)
        with pytest.raises(APIStatusError) as caught:
            await job
        assert caught.value.status == status


async def test_an_answer_of_no_operation_costs_nothing_once() -> None:
    async with scene(1, rerun_seconds=20.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        none = faults.status(200, {"success": False, "msg": "No operation found for service: x"})
        play.box.faults.add(none, path=STATUS, after=1)
        assert (await job).success


FOREIGN = {
    "a page": (faults.html(200), "not JSON"),
    "an empty body": (Answer("", content_type="application/json"), "not JSON"),
    "a redirect": (faults.status(302, headers={"Location": "https://login.example/"}), "a redirect"),
    "a page with 404": (faults.html(404), "404"),
}


@pytest.mark.parametrize("kind", FOREIGN)
async def test_before_the_first_proper_answer_the_address_is_doubted_at_once(kind: str) -> None:
    action, says = FOREIGN[kind]
    async with scene(1) as play:
        play.box.faults.add(action, times=None)
        with pytest.raises(
            (APIStatusError, UnexpectedResponse), match=f"{says}.*the API host itself"
        ) as caught:
            await play.client.rerun_profile_generation(user_id="user-0")
        error: Any = caught.value
        assert not error.outcome_unknown
        assert (play.status_requests(), play.starts()) == (1, 0)


@pytest.mark.parametrize("kind", FOREIGN)
async def test_an_answer_that_stays_foreign_ends_the_wait_after_the_outage_timeout(kind: str) -> None:
    action, says = FOREIGN[kind]
    async with scene(1, rerun_seconds=1000.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        play.box.faults.add(action, path=STATUS, times=None)
        with pytest.raises((APIStatusError, UnexpectedResponse), match=rf"{says}.*no answer for 6\d s"):
            await job
        assert 60 < play.clock.now() < 75
