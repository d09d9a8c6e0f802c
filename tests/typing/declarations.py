"""What the checkers know where a call is written: never run, but read by mypy and pyright in CI.

Lines that must be errors carry an ignore, and both checkers report an ignore that is not needed.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_type

from reflexio_async import BackgroundCall, Job
from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.models import Empty, Polling, RequestModel, ResponseModel, Starting
from reflexio_async._engine.wire import Endpoint

if TYPE_CHECKING:
    from reflexio_async._engine.jobs.kinds import SlotKind


class Search(RequestModel):
    query: str
    force_refresh: bool = False


class Found(ResponseModel):
    texts: list[str]


class Learn(RequestModel):
    user_id: str | None = None


class LearnStart(Learn, Starting):
    pass


class LearnWait(Learn, Polling):
    pass


SEARCH = Endpoint("POST", "/search", Found)
WORDS = Endpoint("GET", "/words", list[str]).or_none()


def endpoints() -> None:
    assert_type(Endpoint("GET", "/x", Found), Endpoint[Found])
    assert_type(Endpoint("GET", "/x", list[int]), Endpoint[list[int]])
    assert_type(Endpoint("GET", "/x", Found).or_none(), Endpoint[Found | None])
    assert_type(SEARCH.read(b""), Found)

    Endpoint("GET", "/x", Found, repeatably=True)  # type: ignore[call-arg]
    Endpoint("GET", "/x", Found, True)  # type: ignore[call-arg]
    Endpoint("GET", "/x", Found | None)  # type: ignore[arg-type]
    _: Endpoint[int] = Endpoint("GET", "/x", Found)  # type: ignore[arg-type]


class Things(API):
    learning: SlotKind[Found]

    @takes(Search)
    async def search(self, request: Search) -> Found:
        return await self._send(SEARCH, request)

    @takes(Search, option="force_refresh")
    async def cached(self, request: Search) -> Found:
        return await self._cached(SEARCH, request, refresh=request.force_refresh)

    @takes(LearnStart, waiting=LearnWait)
    async def learn(self, request: Learn) -> Job[Found]:
        return await self._start(SEARCH, request, self.learning)

    @takes(LearnStart, waiting=LearnWait)
    async def learn_slowly(self, request: Learn) -> BackgroundCall[Found]:
        return self._send_in_background(SEARCH, request)

    async def words(self) -> list[str]:
        return await self._send(WORDS, Empty()) or []

    async def response_types(self) -> None:
        """The endpoint alone says what a call returns, whatever is expected."""
        assert_type(await self._send(WORDS, Empty()), list[str] | None)
        _wider: Found | None = await self._send(SEARCH, Empty())
        _: int = await self._send(SEARCH, Empty())  # type: ignore[arg-type]
        await self._send(SEARCH, {"query": "q"})  # type: ignore[arg-type]


async def calls(things: Things) -> None:
    assert_type(await things.search(query="q"), Found)
    assert_type(await things.search({"query": "q"}), Found)
    assert_type(await things.search(request=Search(query="q")), Found)
    assert_type(await things.cached({"query": "q"}, True), Found)
    assert_type(await things.learn(user_id="u"), Job[Found])
    assert_type(await things.learn(user_id="u", wait_for_response=True, poll_interval=1), Found)
    assert_type(await things.learn(LearnStart(user_id="u")), Job[Found])
    assert_type(await things.learn_slowly(Learn(user_id="u")), BackgroundCall[Found])
    assert_type(await things.learn_slowly(user_id="u", wait_for_response=True), Found)
    assert_type(await Things.search(things, query="q"), Found)
    assert_type(await Things.learn(things, user_id="u"), Job[Found])

    await things.search()  # type: ignore[call-overload]
    await things.search(query=3)  # type: ignore[call-overload]
    await things.search("q")  # type: ignore[call-overload]
    await things.search({"query": "q"}, True)  # type: ignore[call-overload]
    await things.search({"query": "q"}, query="q")  # type: ignore[call-overload]
    await things.search(Learn())  # type: ignore[call-overload]
    await things.learn(user_id=3)  # type: ignore[call-overload]
    await things.learn(poll_interval=1)  # type: ignore[call-overload]
    await things.learn(Search(query="q"))  # type: ignore[call-overload]
    await things.learn({}, wait_for_response=True, poll_interval="1")  # type: ignore[call-overload]
    await Things.search(things)  # type: ignore[call-arg]


class Mistakes(API):
    @takes(Search)  # type: ignore[arg-type]
    async def takes_another_request(self, request: Learn) -> Found:
        return await self._send(SEARCH, request)

    @takes(LearnStart, waiting=LearnWait)  # type: ignore[arg-type]
    async def returns_no_handle(self, request: Learn) -> Found:
        return await self._send(SEARCH, request)

    @takes(Search)
    async def returns_something_else(self, request: Search) -> Literal[1]:
        return await self._send(SEARCH, request)  # type: ignore[arg-type]

    async def may_be_none(self) -> list[str]:
        return await self._send(WORDS, Empty())  # type: ignore[arg-type]

    @takes(Search)  # type: ignore[arg-type]
    def is_no_coroutine_function(self, request: Search) -> Found:
        raise NotImplementedError


class Overriding(Things):
    calls = 0

    @takes(Search)
    async def search(self, request: Search) -> Found:
        self.calls += 1
        return await super().search(request)
