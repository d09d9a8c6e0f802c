"""How calls are given their arguments.

Calls with a request take its fields as keywords, or one request: a model or a mapping.
Calls with documented positional arguments are plain functions.
"""

from __future__ import annotations

import asyncio
import warnings
from collections import UserDict
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import create_model

from reflexio_async import AsyncReflexioClient, InvalidRequest, NotFound, ServerQuirkWarning
from reflexio_async.reflexio.models.interactions import (
    ByRequest,
    InteractionData,
)
from reflexio_async.reflexio.models.operations import (
    RerunProfileGenerationRequest,
    RerunProfileGenerationStart,
)
from reflexio_async.reflexio.models.profiles import GetUserProfilesRequest
from tests.endpoints.calls import CALLS, Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async.sandbox import Sandbox, VirtualClock

# Arguments that the checkers would refuse are passed through here.
Loose = Any


# --- keywords, or one request


async def test_keywords(box: Sandbox, client: AsyncReflexioClient) -> None:
    await client.get_profiles(user_id="u", top_k=3)
    assert box.requests[-1].body == {"user_id": "u", "top_k": 3}


async def test_one_model(box: Sandbox, client: AsyncReflexioClient) -> None:
    request = GetUserProfilesRequest(user_id="u", top_k=3)
    await client.get_profiles(request)
    await client.get_profiles(request=request)
    assert [record.body for record in box.requests] == [{"user_id": "u", "top_k": 3}] * 2


async def test_one_dict(box: Sandbox, client: AsyncReflexioClient) -> None:
    await client.get_profiles({"user_id": "u", "top_k": 3})
    await client.get_profiles(request={"user_id": "u", "top_k": 3})
    assert [record.body for record in box.requests] == [{"user_id": "u", "top_k": 3}] * 2


async def test_any_mapping(box: Sandbox, client: AsyncReflexioClient) -> None:
    await client.get_profiles(UserDict({"user_id": "u"}))
    assert box.requests[-1].body == {"user_id": "u"}


async def test_the_callers_dict_is_not_changed(client: AsyncReflexioClient) -> None:
    request = {"query": "q", "conversation_history": [{"role": "user", "content": "x"}]}
    before = deepcopy(request)
    await client.search(request)
    assert request == before


async def test_a_cached_call_takes_force_refresh_after_the_request(box: Sandbox, clock: VirtualClock) -> None:
    async with AsyncReflexioClient(url_endpoint=box.url, clock=clock, cache_ttl=60) as client:
        await client.get_profiles(user_id="u")
        await client.get_profiles({"user_id": "u"})
        assert len(box.requests) == 1
        await client.get_profiles({"user_id": "u"}, True)  # noqa: FBT003  # as the official client has it
        await client.get_profiles({"user_id": "u"}, force_refresh=True)
        assert len(box.requests) == 3


async def test_a_job_takes_one_request_too(box: Sandbox, client: AsyncReflexioClient) -> None:
    for request in ({"user_id": "u"}, RerunProfileGenerationRequest(user_id="u")):
        assert (await client.rerun_profile_generation(request, wait_for_response=True)).success
    assert [record.body for record in box.requests if record.method == "POST"] == [{"user_id": "u"}] * 2


# --- plain functions


async def test_turns_may_be_dicts_and_models(box: Sandbox, client: AsyncReflexioClient) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "agent", "content": "b"}]
    await client.publish_interaction(user_id="u", session_id="s", interactions=turns)
    await client.publish_interaction(user_id="u", session_id="s", interactions=[InteractionData(content="c")])
    await client.publish_interaction("u", [InteractionData(content="d"), {"content": "e"}], session_id="s")
    assert [
        [turn["content"] for turn in record.body["interaction_data_list"]] for record in box.requests
    ] == [
        ["a", "b"],
        ["c"],
        ["d", "e"],
    ]


async def test_publish_interaction_has_the_official_clients_order(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await client.publish_interaction("u", [{"content": "x"}], "web", "agent-v7", "s", False, True)  # noqa: FBT003
    [record] = box.requests
    assert record.body | {"request_id": "…"} == {
        "user_id": "u",
        "interaction_data_list": [{"content": "x"}],
        "source": "web",
        "agent_version": "agent-v7",
        "session_id": "s",
        "skip_aggregation": True,
        "request_id": "…",
    }


async def test_publish_interaction_sends_the_official_clients_agent_version(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await client.publish_interaction("u", [{"content": "x"}], session_id="s")
    assert box.requests[-1].body["agent_version"] == "agent-v0"


async def test_an_id_by_position_or_by_name(client: AsyncReflexioClient) -> None:
    receipt = await client.publish_interaction(user_id="u", session_id="s", interactions=[{"content": "x"}])
    assert receipt.request_id is not None
    by_position = await client.get_learning_status(receipt.request_id)
    assert by_position == await client.get_learning_status(request_id=receipt.request_id)


async def test_calls_without_arguments(client: AsyncReflexioClient) -> None:
    assert (await client.whoami()).success
    assert await client.health() == {"status": "healthy"}


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), (("r", "s"), {}), (("r",), {"request_id": "s"}), (("r",), {"nope": "s"})],
    ids=["missing", "two", "twice", "unknown"],
)
async def test_arguments_that_do_not_fit_a_plain_function_are_pythons_type_error(
    box: Sandbox, client: Loose, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=r"get_learning_status\(\)"):
        client.get_learning_status(*args, **kwargs)
    assert box.requests == []


@pytest.mark.parametrize(
    "request_id", ["", 3, {"request_id": "r"}, ByRequest(request_id="r")], ids=lambda value: f"{value!r:.9}"
)
async def test_a_wrong_value_of_a_plain_function_is_refused_by_its_name(
    box: Sandbox, client: Loose, request_id: Any
) -> None:
    with pytest.raises(InvalidRequest, match=r"^get_learning_status: request_id: "):
        await client.get_learning_status(request_id)
    assert box.requests == []


@pytest.mark.parametrize(
    "call",
    [
        call
        for call in CALLS
        if call.parameters and not call.takes_a_request and call.name not in {"aclose", "update_config"}
    ],
    ids=str,
)
async def test_wrong_values_of_a_plain_function_are_refused_before_any_io(call: Call) -> None:
    with pytest.raises(InvalidRequest, match=rf"^{call.function.__name__}: "):
        await call.bound(**{name: object() for name in call.parameters})


# --- what is refused


async def test_a_request_and_keywords_are_one_too_many(box: Sandbox, client: Loose) -> None:
    for call in (
        client.get_profiles({"user_id": "u"}, top_k=3),
        client.get_profiles(GetUserProfilesRequest(user_id="u"), user_id="u"),
        client.get_profiles(request={"user_id": "u"}, top_k=3),
        client.get_profiles({"user_id": "u"}, request={"user_id": "u"}),
        client.get_profiles({"user_id": "u"}, True, {"user_id": "u"}),  # noqa: FBT003
        client.get_requests({"user_id": "u"}, {"user_id": "u"}),
        client.rerun_profile_generation({"user_id": "u"}, source="web"),
    ):
        with pytest.raises(InvalidRequest, match="either a request or keywords, not both"):
            await call
    assert box.requests == []


async def test_an_unknown_keyword_is_named(box: Sandbox, client: Loose) -> None:
    with pytest.raises(
        InvalidRequest, match=r"^get_profiles: usr_id: there is no such field; did you mean user_id"
    ):
        await client.get_profiles(user_id="u", usr_id="u")
    with pytest.raises(InvalidRequest, match=r"top: there is no such field; did you mean top_k"):
        await client.get_profiles({"user_id": "u", "top": 3})
    assert box.requests == []


async def test_a_missing_keyword_is_named(client: Loose) -> None:
    with pytest.raises(InvalidRequest, match=r"^get_profiles: user_id: Field required$"):
        await client.get_profiles()


async def test_something_by_position_that_is_no_request_says_what_is_expected(client: Loose) -> None:
    with pytest.raises(
        InvalidRequest,
        match=r"^get_profiles: takes keywords: get_profiles\(user_id=\.\.\.\), "
        r"or one request: a GetUserProfilesRequest or a mapping$",
    ):
        await client.get_profiles("u")
    with pytest.raises(InvalidRequest, match=r"one request: a RerunProfileGenerationRequest or a mapping$"):
        await client.rerun_profile_generation("u")


@pytest.mark.parametrize(
    "args", [("ana", "tea"), ("ana", {"query": "tea"}), (["ana"],)], ids=["texts", "mapping", "list"]
)
async def test_values_by_position_are_answered_with_the_keywords_to_use(
    box: Sandbox, client: Loose, args: tuple[Any, ...]
) -> None:
    expected = r"^search_user_profiles: takes keywords: search_user_profiles\(user_id=\.\.\.\), or"
    with pytest.raises(InvalidRequest, match=expected):
        await client.search_user_profiles(*args)
    with pytest.raises(InvalidRequest, match=expected):
        await client.search_user_profiles(*args, top_k=3)
    assert box.requests == []


async def test_a_model_of_another_call_is_refused(client: Loose) -> None:
    with pytest.raises(InvalidRequest, match="must be a GetUserProfilesRequest or a mapping, not ByRequest"):
        await client.get_profiles(ByRequest(request_id="r"))


async def test_a_request_that_is_none_is_no_request(box: Sandbox, client: Loose) -> None:
    await client.get_profiles(request=None, user_id="u")
    await client.get_profiles(None, user_id="u")
    assert [record.body for record in box.requests] == [{"user_id": "u"}] * 2
    with pytest.raises(InvalidRequest, match="user_id: Field required"):
        await client.get_profiles(None)


async def test_a_keyword_that_is_none_is_not_sent(box: Sandbox, client: Loose) -> None:
    await client.get_profiles(user_id="u", top_k=None, start_time=None, status_filter=None)
    assert box.requests[-1].body == {"user_id": "u"}


async def test_none_in_a_request_is_sent_as_null(box: Sandbox, client: Loose) -> None:
    await client.get_profiles({"user_id": "u", "top_k": None})
    await client.get_profiles(GetUserProfilesRequest(user_id="u", top_k=None))
    assert [record.body for record in box.requests] == [{"user_id": "u", "top_k": None}] * 2


async def test_the_official_clients_request_of_the_same_name_is_taken(box: Sandbox, client: Loose) -> None:
    theirs = create_model("GetUserProfilesRequest", user_id=(str, ...), top_k=(int | None, 30))
    await client.get_profiles(theirs(user_id="u"))
    assert box.requests[-1].body == {"user_id": "u"}
    with pytest.raises(
        InvalidRequest, match="must be a GetUserProfilesRequest or a mapping, not OtherRequest"
    ):
        await client.get_profiles(create_model("OtherRequest", user_id=(str, ...))(user_id="u"))


async def test_a_mapping_whose_names_are_no_text_is_refused(box: Sandbox, client: Loose) -> None:
    with pytest.raises(InvalidRequest, match=r"^get_profiles: 1: there is no such field"):
        await client.get_profiles({"user_id": "u", 1: 2})
    assert box.requests == []


@pytest.mark.parametrize("user_id", ["", " ", 3, ["u"], {"id": "u"}], ids=repr)
async def test_a_user_id_that_would_mean_all_users_or_nobody_is_refused(
    box: Sandbox, client: Loose, user_id: Any
) -> None:
    with pytest.raises(InvalidRequest, match="user_id"):
        await client.rerun_profile_generation(user_id=user_id)
    assert box.requests == []


async def test_a_bad_request_is_refused_before_the_call_waits_for_anything(client: Loose) -> None:
    for call in (client.get_profiles(user_id=""), client.get_learning_status("")):
        with pytest.raises(InvalidRequest):
            call.send(None)


# --- warnings point at the caller


async def test_a_deprecated_parameter_of_a_job_warns_where_it_is_used(client: AsyncReflexioClient) -> None:
    with pytest.warns(
        DeprecationWarning, match="rerun_profile_generation: extractor_names is deprecated"
    ) as caught:
        await client.rerun_profile_generation(user_id="u", extractor_names=["x"], wait_for_response=True)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "request_type", [dict[str, Any], RerunProfileGenerationRequest, RerunProfileGenerationStart]
)
async def test_a_deprecated_parameter_in_a_request_warns_once(
    client: AsyncReflexioClient, request_type: Callable[..., Any]
) -> None:
    with pytest.warns(DeprecationWarning, match="is deprecated") as caught:
        job = await client.rerun_profile_generation(request_type(user_id="u", extractor_names=["x"]))
    [warning] = caught
    assert str(warning.message) == "rerun_profile_generation: extractor_names is deprecated by the server"
    assert warning.filename == __file__
    await job


async def test_a_deprecated_name_warns_where_it_is_used(box: Sandbox, client: AsyncReflexioClient) -> None:
    for view in (client, client.for_session("s")):
        with pytest.warns(
            DeprecationWarning, match="search_profiles is deprecated: use search_user_profiles"
        ) as caught:
            await view.search_profiles(user_id="u", query="q")
        assert [warning.filename for warning in caught] == [__file__]
    assert [record.path for record in box.requests] == ["/api/search_profiles"] * 2


async def test_a_deprecated_parameter_of_a_call_without_a_handle_warns_where_it_is_used(
    client: AsyncReflexioClient,
) -> None:
    with pytest.warns(DeprecationWarning, match="playbook_name is deprecated") as caught:
        await client.upgrade_user_playbooks(playbook_name="x")
    assert caught[0].filename == __file__


async def test_a_deprecated_parameter_that_is_not_used_does_not_warn(client: AsyncReflexioClient) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await client.rerun_profile_generation(user_id="u", wait_for_response=True)


async def test_a_quirk_of_the_server_warns_once_where_it_matters(client: AsyncReflexioClient) -> None:
    with pytest.warns(ServerQuirkWarning, match="whole organisation") as caught:
        await client.upgrade_profiles(user_id="u")
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await client.upgrade_profiles(user_id="u")
        await client.with_options(timeout=5).upgrade_profiles(profile_ids=["p"])


async def test_promoting_for_all_does_not_warn(client: AsyncReflexioClient) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await client.upgrade_profiles()


# --- many at once


async def test_calls_may_be_made_by_the_hundred(box: Sandbox, client: AsyncReflexioClient) -> None:
    answers = await asyncio.gather(*(client.get_profiles(user_id=f"u{number}") for number in range(300)))
    assert all(answer.success for answer in answers)
    assert len(box.requests) == 300


async def test_an_unknown_id_is_not_found(client: AsyncReflexioClient) -> None:
    with pytest.raises(NotFound):
        await client.get_learning_status("nobody's")
