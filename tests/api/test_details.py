"""Details of single calls that the real server cannot show offline."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import InvalidRequest, RequestRefused, ServerQuirkWarning
from reflexio_async.reflexio.models.braintrust import ConnectBraintrustRequest
from reflexio_async.reflexio.models.enums import PendingToolCallStatus
from reflexio_async.reflexio.models.pending_tool_calls import ResolvePendingToolCallRequest
from reflexio_async.sandbox import faults
from tests.calls import to_the_end
from tests.scene import scene

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient

QUESTION: dict[str, Any] = {
    "id": "q1",
    "org_id": "o",
    "scope": {},
    "scope_hash": "h",
    "tool_name": "ask_human",
    "dedup_key": "d",
    "status": "resolved",
    "question_text": "?",
    "args": {},
    "tags": [],
    "result": {"answer": "yes"},
    "resolved_at": "2026-01-01T00:00:00+00:00",
    "user_id": None,
}
ANY = "/api/pending_tool_calls/q1"


async def test_an_answer_carries_its_signature_in_headers() -> None:
    async with scene() as play:
        play.box.faults.add(faults.status(200, QUESTION), path=f"{ANY}/resolve")
        answered = await play.client.resolve_pending_tool_call(
            "q1", answer="yes", valid_for_seconds=60, signature="sha256=abc", timestamp="1700000000"
        )
        assert answered.status is PendingToolCallStatus.RESOLVED
        assert answered.resolved_at is not None
        record = play.box.requests[-1]
        assert record.body == {"result": {"answer": "yes"}, "valid_for_seconds": 60}
        assert record.headers["x-reflexio-signature"] == "sha256=abc"
        assert record.headers["x-reflexio-timestamp"] == "1700000000"


@pytest.mark.parametrize(
    ("call", "fields", "sent"),
    [
        ("resolve", {"result": {"a": 1}}, {"result": {"a": 1}}),
        ("answer", {"answer": "no"}, {"answer": "no"}),
        ("not_applicable", {"valid_for_seconds": 5}, {"valid_for_seconds": 5}),
        ("cancel", {}, {}),
    ],
)
async def test_the_other_ways_to_answer(call: str, fields: dict[str, Any], sent: dict[str, Any]) -> None:
    names = {
        "resolve": "resolve_pending_tool_call",
        "answer": "update_pending_tool_call_answer",
        "not_applicable": "mark_pending_tool_call_not_applicable",
        "cancel": "cancel_pending_tool_call",
    }
    async with scene() as play:
        play.box.faults.add(faults.status(200, QUESTION), path=f"{ANY}/{call}")
        await getattr(play.client, names[call])(pending_tool_call_id="q1", **fields)
        assert play.box.requests[-1].body == sent
        assert "x-reflexio-signature" not in play.box.requests[-1].headers


@pytest.mark.parametrize("fields", [{}, {"answer": "a", "result": {}}, {"result": "text"}])
async def test_an_answer_is_either_a_result_or_a_text(fields: dict[str, Any]) -> None:
    async with scene() as play:
        call: Any = play.client.resolve_pending_tool_call
        with pytest.raises(InvalidRequest, match=r"^resolve_pending_tool_call: .*result"):
            await call("q", **fields)


async def test_a_header_is_one_line() -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match="signature is sent in a header"):
            await play.client.resolve_pending_tool_call("q", answer="a", signature="a\r\nX-Evil: 1")
        assert play.box.requests == []


async def test_a_key_for_braintrust_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "bt-very-secret"
    async with scene() as play:
        refusal = {"success": False, "msg": "no"}
        play.box.faults.add(faults.status(200, refusal), path="/api/braintrust/connect")
        with pytest.raises(RequestRefused) as refused:
            await play.client.connect_braintrust(api_key=secret)
        unusable: Any = {"api_key": [secret]}
        with pytest.raises(InvalidRequest) as invalid:
            await play.client.connect_braintrust(unusable)
        shown = [repr(refused.value), repr(invalid.value), caplog.text, repr(play.client)]
        shown += [repr(ConnectBraintrustRequest(api_key=secret)), repr(play.client.connect_braintrust)]
        assert not [text for text in shown if secret in text]
        assert play.box.requests[0].body == {"api_key": secret}
    signed = ResolvePendingToolCallRequest(pending_tool_call_id="q", result={}, signature="sig-secret")
    assert "sig-secret" not in repr(signed)


async def fill(client: AsyncReflexioClient, number: int) -> None:
    for one in range(number):
        await client.publish_interaction(user_id="u", session_id=f"s{one}", interactions=[{"content": "x"}])


@pytest.mark.parametrize(("sessions", "requests"), [(0, 1), (1, 1), (2, 2), (5, 3)])
async def test_iter_requests_returns_every_session(sessions: int, requests: int) -> None:
    async with scene() as play:
        await fill(play.client, sessions)
        found = [session.session_id async for session in play.client.iter_requests(user_id="u", page_size=2)]
        assert sorted(found) == [f"s{one}" for one in range(sessions)]
        assert play.box.count("POST", "/api/get_requests") == requests


async def test_a_session_is_returned_once_though_others_are_published_meanwhile() -> None:
    async with scene() as play:
        await fill(play.client, 4)
        walk = play.client.iter_requests(user_id="u", page_size=2)
        first = [(await anext(walk)).session_id, (await anext(walk)).session_id]
        await play.client.publish_interaction(user_id="u", session_id="new", interactions=[{"content": "x"}])
        rest = [session.session_id async for session in walk]
        assert len({*first, *rest}) == len(first) + len(rest)
        assert {"s0", "s1", "s2", "s3"} <= {*first, *rest}


async def test_iter_requests_checks_its_arguments_at_once() -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match="top_k"):
            play.client.iter_requests(page_size=0)


async def test_promoting_leaves_other_users_alone_by_default() -> None:
    async with scene() as play:
        await play.client.upgrade_profiles()
        assert play.box.requests[-1].body == {"only_affected_users": True}
        await play.client.upgrade_profiles(only_affected_users=False)
        assert play.box.requests[-1].body == {"only_affected_users": False}
        with pytest.warns(ServerQuirkWarning, match="downgrade_profiles"):
            await play.client.downgrade_profiles(user_id="u")
        assert play.box.requests[-1].body == {"user_id": "u", "only_affected_users": True}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("upgrade_user_playbooks", {"playbook_name": "x"}),
        ("downgrade_user_playbooks", {"playbook_name": "x"}),
        ("manual_playbook_generation", {"playbook_name": "x"}),
        ("manual_profile_generation", {"extractor_names": ["x"]}),
    ],
)
async def test_what_servers_no_longer_use_is_sent_with_a_warning(name: str, fields: dict[str, Any]) -> None:
    async with scene() as play:
        with pytest.warns(DeprecationWarning, match=f"{name}: {next(iter(fields))} is deprecated"):
            await to_the_end(getattr(play.client, name)(**fields))
        assert {**play.box.requests[-1].body, **fields} == play.box.requests[-1].body


async def test_january_s_shapes() -> None:
    async with scene() as play:
        legacy = play.client.legacy
        play.box.faults.add(faults.status(200, {"success": True}), path="/api/publish_interaction")
        assert (
            await legacy.publish_interaction(user_id="u", request_group="g", interactions=[{"content": "x"}])
        ).success
        assert play.box.requests[-1].body == {
            "user_id": "u",
            "request_group": "g",
            "interaction_data_list": [{"content": "x"}],
        }
        groups: dict[str, Any] = {"success": True, "request_groups": [{"request_group": "g", "requests": []}]}
        play.box.faults.add(faults.status(200, groups), path="/api/get_requests")
        assert (await legacy.get_requests(user_id="u")).request_groups[0].request_group == "g"
        profile = {
            "profile_id": "p",
            "user_id": "u",
            "profile_content": "likes tea",
            "last_modified_timestamp": 1,
            "generated_from_request_id": "r",
        }
        response = {"success": True, "user_profiles": [profile]}
        play.box.faults.add(faults.status(200, response), path="/api/get_all_profiles")
        found = await legacy.get_all_profiles(limit=5, status_filter="current")
        assert found.user_profiles[0].profile_content == "likes tea"
        assert play.box.requests[-1].query == {"limit": "5", "status_filter": "current"}
        assert (await legacy.get_operation_status(service_name="feedback_generation")).success is False
        assert (await legacy.delete_request("r", wait_for_response=True)).success
        play.box.seed("u", "I like tea")
        assert (await legacy.rerun_profile_generation(user_id="u", wait_for_response=True)).success


async def test_a_legacy_publish_is_never_sent_twice() -> None:
    async with scene() as play:
        play.box.faults.add(faults.answer_lost(), path="/api/publish_interaction")
        with pytest.raises(Exception, match="broke") as lost:
            await play.client.legacy.publish_interaction(user_id="u", interactions=[{"content": "x"}])
        assert lost.value.outcome_unknown is True  # type: ignore[attr-defined]
        assert play.box.count("POST", "/api/publish_interaction") == 1


@pytest.mark.parametrize("text", ["current", "None"])
async def test_a_text_for_the_current_status_is_refused_and_the_error_says_none(text: Any) -> None:
    async with scene() as play:
        client = play.client
        for refused in (
            client.get_profiles(user_id="u", status_filter=[text]),
            client.search_user_playbooks(query="q", status_filter=[text]),
            client.legacy.get_profiles(user_id="u", status_filter=[text]),
        ):
            with pytest.raises(
                InvalidRequest, match=r"status_filter.0: .*'pending', .*None, which is the cur"
            ):
                await refused
        assert play.box.requests == []
