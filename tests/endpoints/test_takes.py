"""``takes``, on calls of its own: they return the request that they were given."""

import asyncio
import inspect
import pickle
import subprocess
import sys
from typing import Any, Self, get_type_hints

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from reflexio_async import InvalidRequest
from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.models import Polling, RequestModel, Starting, Waiting, empty_list

# There is no `from __future__ import annotations` here, nor in the files of calls: signatures show types.


class Search(RequestModel):
    query: str
    top_k: int | None = Field(default=5, description="How many.")
    tags: list[str] = Field(default_factory=empty_list)
    exact: bool | None = Field(default=None, deprecated=True)


class RefinedSearch(Search):
    """What a user makes of a request."""


class Refresh(RequestModel):
    user_id: str
    force_refresh: bool = False


class Learn(RequestModel):
    user_id: str | None = None


class LearnStart(Learn, Starting):
    pass


class LearnWait(Learn, Polling):
    pass


class SlowStart(Learn, Starting):
    pass


class SlowWait(Learn, Waiting):
    pass


class Handle:
    """A handle whose result is the request that it waited with."""

    def __init__(self, request: Learn) -> None:
        self.request = request

    async def wait_in_call(self, request: Waiting) -> tuple[Self, Waiting]:
        return self, request


Loose = Any
"""Functions whose faulty calls the checkers would refuse."""


class Calls:
    """A group of calls."""

    @takes(Search)
    async def search(self, request: Search) -> Search:
        """Search.

        In everything.
        """
        return request

    @takes(Refresh, option="force_refresh")
    async def refresh(self, request: Refresh) -> Refresh:
        """Ask again."""
        return request

    learn: Loose
    slow: Loose


def _learn(name: str, start: Any, wait: Any) -> Any:
    async def function(self: Calls, request: Learn) -> Handle:  # noqa: ARG001
        """Learn."""
        return Handle(request)

    function.__name__ = name
    decorate: Any = takes(start, waiting=wait)
    return decorate(function)


Calls.learn = _learn("learn", LearnStart, LearnWait)
Calls.slow = _learn("slow", SlowStart, SlowWait)
CALLS = Calls()
LOOSE: Loose = CALLS


# --- the request that the function is given


async def test_keywords_a_model_and_a_mapping_give_the_same_request() -> None:
    request = Search(query="q", top_k=3)
    for given in (
        await CALLS.search(query="q", top_k=3),
        await CALLS.search(request),
        await CALLS.search(request=request),
        await CALLS.search({"query": "q", "top_k": 3}),
        await CALLS.search(request={"query": "q", "top_k": 3}),
        await Calls.search(CALLS, query="q", top_k=3),
    ):
        assert given == request
        assert given.model_fields_set == {"query", "top_k"}


async def test_a_model_is_given_as_it_is() -> None:
    for request in (Search(query="q"), RefinedSearch(query="q")):
        assert await CALLS.search(request) is request


async def test_a_model_of_a_parent_class_gives_the_fields_that_are_set() -> None:
    request = (await CALLS.learn(Learn(user_id="u"))).request
    assert type(request) is LearnStart
    assert request.model_fields_set == {"user_id"}


async def test_fields_stand_beside_a_request_only_where_they_are_options() -> None:
    given = await CALLS.refresh(Refresh(user_id="u"), force_refresh=True)
    assert given == Refresh(user_id="u", force_refresh=True)
    assert await CALLS.refresh({"user_id": "u"}, True) == given  # noqa: FBT003
    for faulty in (
        LOOSE.refresh({"user_id": "u"}, user_id="v"),
        LOOSE.search({"query": "q"}, force_refresh=True),
        LOOSE.search({"query": "q"}, True),  # noqa: FBT003
        LOOSE.learn({}, force_refresh=True),
        LOOSE.learn({}, True, wait_for_response=True),  # noqa: FBT003
    ):
        with pytest.raises(InvalidRequest, match="give either a request or keywords, not both"):
            await faulty


async def test_a_call_waits_with_its_options() -> None:
    handle, request = await CALLS.learn(user_id="u", wait_for_response=True, poll_interval=1, wait_timeout=9)
    assert handle.request is request
    assert request == LearnWait(user_id="u", wait_for_response=True, poll_interval=1, wait_timeout=9)


async def test_the_options_of_waiting_stand_beside_or_in_a_request() -> None:
    waiting = LearnWait(user_id="u", wait_for_response=True, wait_timeout=9)
    for call in (
        CALLS.learn(Learn(user_id="u"), wait_for_response=True, wait_timeout=9),
        CALLS.learn(LearnStart(user_id="u"), True, wait_timeout=9),  # noqa: FBT003
        CALLS.learn({"user_id": "u", "wait_for_response": True}, wait_timeout=9),
        CALLS.learn({"user_id": "u", "wait_for_response": True, "wait_timeout": 9}),
        CALLS.learn(LearnWait(user_id="u", wait_for_response=True), wait_timeout=9),
        CALLS.learn(waiting),
    ):
        _, request = await call
        assert request == waiting


async def test_calls_made_at_once_share_nothing() -> None:
    given = await asyncio.gather(*(CALLS.search(query=str(number)) for number in range(100)))
    assert [request.query for request in given] == [str(number) for number in range(100)]


# --- errors name the call


@pytest.mark.parametrize(
    ("call", "args", "kwargs", "message"),
    [
        ("search", (), {}, "search: query: Field required"),
        ("search", (), {"querry": "q"}, "search: query: Field required; querry: there is no such"),
        ("search", (), {"query": 7}, "search: query: Input should be a valid string"),
        (
            "search",
            ("q",),
            {},
            "search: takes keywords: search(query=...), or one request: a Search or a mapping",
        ),
        ("search", (None,), {}, "search: query: Field required"),
        ("search", (Learn(),), {}, "search: request must be a Search or a mapping, not Learn"),
        ("search", ({1: 2, "query": "q"},), {}, "search: 1: there is no such field"),
        ("search", (), {"query": "q", "wait_for_response": True}, "search: wait_for_response: there is no"),
        (
            "learn",
            ("u",),
            {},
            "learn: takes keywords: learn(user_id=...), or one request: a Learn or a mapping",
        ),
        ("learn", (), {"wait_for_response": 1}, "learn: wait_for_response must be True or False, not 1"),
        (
            "learn",
            (),
            {"poll_interval": 1},
            "learn: poll_interval and wait_timeout go with wait",
        ),
        (
            "learn",
            (),
            {"wait_for_response": True, "poll_interval": -1},
            "learn: poll_interval: must be zero or more",
        ),
        (
            "slow",
            (),
            {"wait_for_response": True, "poll_interval": 1},
            "slow: poll_interval: there is no such",
        ),
        (
            "slow",
            ({"user_id": "u"},),
            {"wait_for_response": True, "poll_interval": 1},
            "slow: poll_interval: there is no",
        ),
    ],
)
async def test_a_faulty_call_is_refused_by_its_name(
    call: str, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await getattr(CALLS, call)(*args, **kwargs)
    assert str(caught.value).startswith(message)


async def test_an_error_within_the_function_is_passed_on_as_it_is() -> None:
    class Failing:
        @takes(Learn)
        async def fail(self, request: Learn) -> None:  # noqa: ARG002
            """Fail."""
            Search()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

    with pytest.raises(InvalidRequest, match=r"^Search: query: Field required$"):
        await Failing().fail()


async def test_deprecated_fields_warn_once() -> None:
    for request in ({"query": "q", "exact": True}, Search(query="q", exact=True)):
        with pytest.warns(DeprecationWarning, match="search: exact is deprecated by the server") as caught:
            await CALLS.search(request)
        assert [warning.filename for warning in caught] == [__file__]


# --- what Python sees


def test_a_signature_has_the_fields_and_their_defaults() -> None:
    assert str(inspect.signature(CALLS.search)) == (
        "(*, query: str, top_k: int | None = 5, tags: list[str] = Ellipsis, exact: bool | None = None) -> "
        f"{Search.__module__}.Search"
    )


def test_a_signature_has_the_options_of_waiting_last() -> None:
    names = [*inspect.signature(CALLS.learn).parameters]
    assert names == ["user_id", "wait_for_response", "poll_interval", "wait_timeout"]
    assert [*inspect.signature(CALLS.slow).parameters] == ["user_id", "wait_for_response"]


def test_a_docstring_says_what_the_fields_mean() -> None:
    assert Calls.search.__doc__ == "Search.\n\nIn everything.\n\nArgs:\n    top_k: How many."


def test_calls_without_docstrings_have_none() -> None:
    program = (
        "from reflexio_async import AsyncReflexioClient, AsyncReflectClient\n"
        "print(AsyncReflexioClient.get_profiles.__doc__, AsyncReflectClient.create_trace.__doc__)"
    )
    done = subprocess.run([sys.executable, "-OO", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None None"


def test_annotations_may_be_texts() -> None:
    module: dict[str, Any] = {"Learn": Learn, "takes": takes, "__name__": __name__}
    source = (
        "from __future__ import annotations\n"
        "class Calls:\n"
        "    @takes(Learn)\n"
        "    async def learn(self, request: Learn) -> Learn:\n"
        '        """Learn."""\n'
        "        return request\n"
    )
    exec(source, module)  # noqa: S102
    learn = module["Calls"].learn
    assert inspect.signature(learn).return_annotation == "Learn"
    assert get_type_hints(learn) == {"user_id": str | None, "return": Learn}
    assert asyncio.run(learn(None, user_id="u")) == Learn(user_id="u")
    with pytest.raises(InvalidRequest, match="a Learn or a mapping"):
        asyncio.run(learn(None, "u"))


async def test_a_call_may_stand_in_another_class_and_be_overridden() -> None:
    class Other:
        find = Calls.search

    class Counting(Calls):
        calls = 0

        @takes(Search)
        async def search(self, request: Search) -> Search:
            """Count."""
            self.calls += 1
            return await super().search(request)

    assert await Other().find(query="q") == Search(query="q")
    counting = Counting()
    assert await counting.search(query="q") == Search(query="q")
    assert counting.calls == 1


def test_neither_import_nor_signatures_build_a_schema() -> None:
    program = (
        "import inspect, reflexio_async\n"
        "client = reflexio_async.AsyncReflexioClient\n"
        "for name in dir(client):\n"
        "    if inspect.iscoroutinefunction(call := getattr(client, name)): inspect.signature(call)\n"
        "from reflexio_async._engine.models import RequestModel\n"
        "from reflexio_async.reflexio.models import operations, profiles, search\n"
        "models = [model for module in (operations, profiles, search) for model in vars(module).values()]\n"
        "models = [m for m in models if isinstance(m, type) and issubclass(m, RequestModel)]\n"
        "print(len(models) > 20, [model for model in models if model.__pydantic_complete__])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"


# --- requests


def test_a_request_refuses_unusable_values_itself() -> None:
    with pytest.raises(InvalidRequest, match=r"^Search: query: Field required; q: there is no such field$"):
        Search(q="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_a_wrong_request_in_another_model_is_an_error_of_that_model() -> None:
    class Outer(BaseModel):
        search: Search

    assert Outer.model_validate({"search": {"query": "q"}}).search == Search(query="q")
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"search": {"query": 7}})
    [error] = caught.value.errors()
    assert error["loc"] == ("search",)
    assert "query: Input should be a valid string" in error["msg"]
    with pytest.raises(ValidationError, match="query"):
        TypeAdapter(Search).validate_json('{"query": 7}')


def test_a_request_is_pickled_copied_and_dumped() -> None:
    request = LearnStart(user_id="u")
    for same in (
        pickle.loads(pickle.dumps(request)),  # noqa: S301  # our own bytes
        request.model_copy(),
        LearnStart(**request.model_dump()),
    ):
        assert same == request
    assert request.model_dump(exclude_unset=True) == {"user_id": "u"}
