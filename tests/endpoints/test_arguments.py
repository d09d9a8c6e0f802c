"""Every call takes keywords, or one request: a model or a mapping, by position or by name."""

from __future__ import annotations

import asyncio
import warnings
from collections import UserDict
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import InvalidRequest, NotFound, ServerQuirkWarning
from reflexio_async.reflexio.models.interactions import (
    ByRequest,
    InteractionData,
    PublishUserInteractionRequest,
)
from reflexio_async.reflexio.models.operations import RerunProfileGenerationRequest
from reflexio_async.reflexio.models.profiles import GetUserProfilesRequest

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient
    from reflexio_async.sandbox import Sandbox

# Arguments that the checkers would refuse are passed through here.
Loose = Any


# --- the ways to say it


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
    request = {"user_id": "u", "session_id": "s", "interactions": [{"content": "x"}]}
    before = dict(request)
    await client.publish_interaction(request)
    assert request == before


async def test_turns_may_be_dicts_and_models(box: Sandbox, client: AsyncReflexioClient) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "agent", "content": "b"}]
    await client.publish_interaction(user_id="u", session_id="s", interactions=turns)
    await client.publish_interaction(user_id="u", session_id="s", interactions=[InteractionData(content="c")])
    await client.publish_interaction(
        PublishUserInteractionRequest(user_id="u", session_id="s", interactions=[{"content": "d"}])
    )
    assert [
        [turn["content"] for turn in record.body["interaction_data_list"]] for record in box.requests
    ] == [
        ["a", "b"],
        ["c"],
        ["d"],
    ]


async def test_an_id_by_position_or_by_name(client: AsyncReflexioClient) -> None:
    receipt = await client.publish_interaction(user_id="u", session_id="s", interactions=[{"content": "x"}])
    assert receipt.request_id is not None
    by_position = await client.get_learning_status(receipt.request_id)
    assert by_position == await client.get_learning_status(request_id=receipt.request_id)
    assert by_position == await client.get_learning_status({"request_id": receipt.request_id})
    assert by_position == await client.get_learning_status(ByRequest(request_id=receipt.request_id))


async def test_calls_without_arguments(client: AsyncReflexioClient) -> None:
    assert (await client.whoami()).success
    assert await client.health() == {"status": "healthy"}


async def test_a_job_takes_one_request_too(box: Sandbox, client: AsyncReflexioClient) -> None:
    for request in ({"user_id": "u"}, RerunProfileGenerationRequest(user_id="u")):
        assert (await client.rerun_profile_generation(request, wait_for_response=True)).success
    assert [record.body for record in box.requests if record.method == "POST"] == [{"user_id": "u"}] * 2


# --- the ways not to


async def test_a_request_and_keywords_are_one_too_many(box: Sandbox, client: Loose) -> None:
    for call in (
        client.get_profiles({"user_id": "u"}, top_k=3),
        client.get_profiles(GetUserProfilesRequest(user_id="u"), user_id="u"),
        client.get_profiles(request={"user_id": "u"}, top_k=3),
        client.get_profiles({"user_id": "u"}, {"user_id": "u"}),
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
        InvalidRequest, match="get_profiles takes keywords, or one request: a GetUserProfilesRequest"
    ):
        await client.get_profiles("u")


async def test_a_model_of_another_call_is_refused(client: Loose) -> None:
    with pytest.raises(InvalidRequest, match="must be a GetUserProfilesRequest or a mapping, not ByRequest"):
        await client.get_profiles(ByRequest(request_id="r"))


async def test_a_request_that_is_none_is_refused(client: Loose) -> None:
    with pytest.raises(InvalidRequest, match="not NoneType"):
        await client.get_profiles(request=None)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), (("r", "s"), {}), (("r",), {"request": "s"}), ((), {"nope": "r"}), (("",), {}), ((3,), {})],
    ids=["nothing", "two", "both", "unknown", "empty", "number"],
)
async def test_a_call_with_a_positional_id_says_what_is_wrong_by_its_own_name(
    client: Loose, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match="get_learning_status"):
        await client.get_learning_status(*args, **kwargs)


@pytest.mark.parametrize("user_id", ["", " ", 3, ["u"], {"id": "u"}], ids=repr)
async def test_a_user_id_that_would_mean_all_users_or_nobody_is_refused(
    box: Sandbox, client: Loose, user_id: Any
) -> None:
    with pytest.raises(InvalidRequest, match="user_id"):
        await client.rerun_profile_generation(user_id=user_id)
    assert box.requests == []


async def test_a_bad_request_is_refused_before_the_call_waits_for_anything(client: Loose) -> None:
    call = client.get_profiles(user_id="")
    with pytest.raises(InvalidRequest):
        call.send(None)


# --- warnings point at the caller


async def test_a_deprecated_parameter_of_a_job_warns_where_it_is_used(client: AsyncReflexioClient) -> None:
    with pytest.warns(
        DeprecationWarning, match="rerun_profile_generation: extractor_names is deprecated"
    ) as caught:
        await client.rerun_profile_generation(user_id="u", extractor_names=["x"], wait_for_response=True)
    assert caught[0].filename == __file__


async def test_a_deprecated_parameter_of_a_plain_call_warns_where_it_is_used(
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
