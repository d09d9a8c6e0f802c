"""``client.for_session(id)``: the id is filled in, and another one refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient, BackgroundCall, InvalidRequest
from reflexio_async.reflexio.api.session_scoped import SessionView
from reflexio_async.reflexio.models.interactions import PublishUserInteractionRequest
from reflexio_async.reflexio.models.search import UnifiedSearchRequest
from reflexio_async.sandbox import faults
from tests.parity.compare import rows
from tests.scene import scene

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLS: dict[str, Mapping[str, Any]] = {
    "publish_interaction": {"user_id": "u", "interactions": [{"content": "x"}]},
    "publish_interaction_async": {"user_id": "u", "interactions": [{"content": "x"}]},
    "finalize_session": {"user_id": "u"},
    "finalize_session_async": {"user_id": "u"},
    "mark_session_outcome": {"outcome": "success", "occurred_at": 1},
    "get_session_outcomes": {},
    "search": {"query": "x"},
    "search_async": {"query": "x"},
    "search_user_profiles": {"user_id": "u", "query": "x"},
    "search_profiles": {"user_id": "u", "query": "x"},
    "search_user_playbooks": {"query": "x"},
    "search_agent_playbooks": {"query": "x"},
    "get_agent_playbooks": {},
    "get_requests": {},
    "get_retrieved_learning_evaluation_results": {},
    "grade_on_demand": {"agent_version": "v"},
}
several = {"get_session_outcomes"}


@pytest.mark.parametrize("name", CALLS)
async def test_the_session_is_filled_in(name: str) -> None:
    async with scene() as play:
        session = play.client.for_session(" s1 ")
        await getattr(session, name)(**CALLS[name])
        body = play.box.requests[-1].body
        assert (body["session_ids"] if name in several else body["session_id"]) in ("s1", ["s1"])
        await getattr(session, name)(dict(CALLS[name]))
        field, own, another = (
            ("session_ids", ["s1"], ["s1", "s2"]) if name in several else ("session_id", "s1", "s2")
        )
        await getattr(session, name)({**CALLS[name], field: own})
        asked = len(play.box.requests)
        for refused in ({**CALLS[name], field: another},):
            with pytest.raises(InvalidRequest, match="this view is of session 's1' alone"):
                await getattr(session, name)(refused)
            with pytest.raises(InvalidRequest, match=name):
                await getattr(session, name)(**refused)
        assert len(play.box.requests) == asked


def test_these_are_all_of_them() -> None:
    assert sorted(CALLS) == sorted(rows(SessionView))


async def test_a_whole_request_will_do() -> None:
    async with scene() as play:
        session = play.client.for_session("s1")
        request = PublishUserInteractionRequest(user_id="u", session_id="s1", interactions=[{"content": "x"}])
        assert (await session.publish_interaction(request)).success
        assert (await session.publish_interaction(request=request)).success
        other = request.model_copy(update={"session_id": "s2"})
        with pytest.raises(InvalidRequest, match="alone"):
            await session.publish_interaction(other)


async def test_deleting_the_session() -> None:
    async with scene() as play:
        session = play.client.for_session("s1")
        await session.publish_interaction(user_id="u", interactions=[{"content": "x"}])
        handle = await session.delete_session()
        assert isinstance(handle, BackgroundCall)
        assert (await handle).deleted_requests_count == 1
        assert (await session.delete_session(wait_for_response=True)).deleted_requests_count == 0
        with pytest.raises(InvalidRequest, match="alone"):
            await session.delete_session("s2")


async def test_the_others_are_forwarded() -> None:
    async with scene() as play:
        session = play.client.for_session("s1")
        assert (session.session_id, session.client) == ("s1", play.client)
        assert (await session.whoami()).success
        assert "s1" in repr(session)
        with pytest.raises(AttributeError):
            session.no_such_call  # noqa: B018  # reading it is the point


@pytest.mark.parametrize("name", ["", " ", None, 5])
async def test_a_session_has_a_name(name: Any) -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match="session_id"):
            play.client.for_session(name)


def test_a_call_within_a_session_shows_its_keywords() -> None:
    client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:1")
    text = client.for_session("s1").search.__doc__
    assert text is not None
    assert text.startswith("search(")
    assert "POST /api/search" in text


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("search", "/api/search"),
        ("search_user_profiles", "/api/search_profiles"),
        ("search_user_playbooks", "/api/search_user_playbooks"),
        ("search_agent_playbooks", "/api/search_agent_playbooks"),
    ],
)
async def test_a_search_in_a_session_is_not_sent_again(name: str, path: str) -> None:
    async with scene() as play:
        play.box.faults.add(faults.answer_lost(), path=path)
        with pytest.raises(Exception, match="broke") as lost:
            await getattr(play.client.for_session("s1"), name)(user_id="u", query="x")
        assert lost.value.outcome_unknown is True  # type: ignore[attr-defined]
        play.box.faults.add(faults.answer_lost(), path=path)
        assert (await getattr(play.client, name)(user_id="u", query="x")).success
        assert play.box.count("POST", path) == 3


async def test_a_repeated_search_gives_the_next_results() -> None:
    async with scene() as play:
        await play.client.add_user_profile(
            [{"user_id": "u", "content": f"likes tea number {number}"} for number in range(2)]
        )
        session = play.client.for_session("s1")
        request = UnifiedSearchRequest(query="tea", user_id="u", top_k=1)
        first, second = [(await session.search(request)).profiles for _ in range(2)]
        assert len(first) == len(second) == 1
        assert first != second
