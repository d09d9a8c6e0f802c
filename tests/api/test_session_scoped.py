"""``client.for_session(id)``: the id is filled in, and another one refused."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient, BackgroundCall, InvalidRequest
from reflexio_async.reflexio.api.session_scoped import SessionScopedClient
from reflexio_async.reflexio.models.search import UnifiedSearchRequest
from reflexio_async.sandbox import faults
from tests.calls import coroutine_functions, to_the_end
from tests.scene import scene

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.filterwarnings("ignore:search_profiles is deprecated:DeprecationWarning")

CALLS: dict[str, Mapping[str, Any]] = {
    "publish_interaction": {"user_id": "u", "interactions": [{"content": "x"}]},
    "publish_interaction_async": {"user_id": "u", "interactions": [{"content": "x"}]},
    "publish_later": {"user_id": "u", "interactions": [{"content": "x"}]},
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
    "delete_session": {},
}
# The calls that take one request, or keywords.
TAKE_A_REQUEST = [
    name for name, call in coroutine_functions(SessionScopedClient).items() if hasattr(call, "__wrapped__")
]


def test_these_are_all_of_them() -> None:
    assert {*CALLS, "aclose"} == coroutine_functions(SessionScopedClient).keys()


def names_the_session(name: str, *session_ids: str) -> dict[str, Any]:
    """The field that names a session in the call ``name``; one call takes several sessions."""
    return (
        {"session_ids": [*session_ids]} if name == "get_session_outcomes" else {"session_id": session_ids[-1]}
    )


def alone(name: str) -> str:
    """What the error says when the call ``name`` is given another session, as a pattern."""
    return rf"^{name.removesuffix('_async')}: session_ids?: this view is of session 's1' alone$"


@pytest.mark.parametrize("name", CALLS)
async def test_the_session_is_filled_in(name: str) -> None:
    async with scene() as play:
        session = play.client.for_session(" s1 ")
        await to_the_end(getattr(session, name)(**CALLS[name]))
        body = play.box.requests[-1].body
        assert body.items() >= names_the_session(name, "s1").items()


@pytest.mark.parametrize("name", CALLS)
async def test_its_own_session_may_be_named_and_another_one_may_not(name: str) -> None:
    async with scene() as play:
        call = getattr(play.client.for_session("s1"), name)
        await to_the_end(call(**CALLS[name], **names_the_session(name, "s1")))
        assert len(play.box.requests) == 1
        with pytest.raises(InvalidRequest, match=alone(name)):
            await call(**CALLS[name], **names_the_session(name, "s1", "s2"))
        assert len(play.box.requests) == 1


@pytest.mark.parametrize("name", TAKE_A_REQUEST)
async def test_a_request_is_taken_too(name: str) -> None:
    async with scene() as play:
        call = getattr(play.client.for_session("s1"), name)
        await call(dict(CALLS[name]))
        await call({**CALLS[name], **names_the_session(name, "s1")})
        await call(request={**CALLS[name], **names_the_session(name, "s1")})
        sent = len(play.box.requests)
        with pytest.raises(InvalidRequest, match=alone(name)):
            await call({**CALLS[name], **names_the_session(name, "s1", "s2")})
        assert len(play.box.requests) == sent


async def test_a_model_is_taken_too() -> None:
    async with scene() as play:
        session = play.client.for_session("s1")
        request = UnifiedSearchRequest(query="tea", session_id="s1")
        assert (await session.search(request)).success
        assert (await session.search(request=request)).success
        with pytest.raises(InvalidRequest, match="alone"):
            await session.search(request.model_copy(update={"session_id": "s2"}))


@pytest.mark.parametrize("name", sorted(set(CALLS) - set(TAKE_A_REQUEST)))
def test_the_parameters_are_those_of_the_client_s_call(name: str) -> None:
    ours, the_clients = (
        inspect.signature(getattr(owner, name)) for owner in (SessionScopedClient, AsyncReflexioClient)
    )
    of_session = inspect.signature(SessionScopedClient.delete_session).parameters["session_id"]
    expected = [
        of_session if parameter.name == "session_id" else parameter
        for parameter in the_clients.parameters.values()
    ]
    assert [*ours.parameters.values()] == expected
    assert ours.return_annotation == the_clients.return_annotation


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


@pytest.mark.parametrize(
    ("name", "says"),
    [("", "must not be empty"), (" ", "must not be empty"), (None, "must be text"), (5, "must be text")],
)
async def test_a_session_has_a_name(name: Any, says: str) -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match=f"session_id {says}"):
            play.client.for_session(name)


@pytest.mark.parametrize("name", TAKE_A_REQUEST)
def test_a_call_within_a_session_shows_its_keywords(name: str) -> None:
    ours, the_clients = (
        inspect.signature(getattr(owner, name)) for owner in (SessionScopedClient, AsyncReflexioClient)
    )
    assert {*ours.parameters} == {*the_clients.parameters}


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
