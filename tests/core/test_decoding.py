"""Bytes → value, with bytes alone."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import pytest

from reflexio_async import RequestRefused, UnexpectedResponse
from reflexio_async._engine.wire import (
    Endpoint,
    RawResponse,
    decode,
    refusal_of,
    refusal_text,
)
from reflexio_async.reflexio.models.enums import OperationStatus, Status
from reflexio_async.reflexio.models.identity import LoginResponse, WhoamiResponse
from reflexio_async.reflexio.models.interactions import PublishUserInteractionResponse
from reflexio_async.reflexio.models.operations import (
    GetOperationStatusResponse,
    RerunProfileGenerationResponse,
)
from reflexio_async.reflexio.models.profiles import GetProfilesViewResponse, ProfileView
from reflexio_async.reflexio.service import REFLEXIO

GET = Endpoint("GET", "/api/things", WhoamiResponse)
T = TypeVar("T")
URL = "https://example.test/api/things"
PROFILE = {
    "profile_id": "p",
    "user_id": "u",
    "content": "likes sushi",
    "last_modified_timestamp": 1,
    "generated_from_request_id": "r",
}


def get(response_type: type[T]) -> Endpoint[T]:
    return Endpoint("GET", "/api/things", response_type)


def response(body: Any, *, status: int = 200, kind: str = "application/json") -> RawResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawResponse(status, {"Content-Type": kind}, raw, URL)


def profile(**more: Any) -> ProfileView:
    body = {"success": True, "user_profiles": [PROFILE | more]}
    [row] = decode(get(GetProfilesViewResponse), REFLEXIO, response(body)).user_profiles
    return row


def unexpected(body: Any, *, kind: str = "application/json") -> UnexpectedResponse:
    with pytest.raises(UnexpectedResponse) as caught:
        decode(get(WhoamiResponse), REFLEXIO, response(body, kind=kind))
    return caught.value


def test_unknown_fields_stay_reachable() -> None:
    row = profile(mood="hungry")
    assert row.model_extra == {"mood": "hungry"}
    assert row.mood == "hungry"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def test_unknown_fields_stay_reachable_in_every_row_of_every_answer() -> None:
    endpoint = get(GetProfilesViewResponse)
    answers: list[list[dict[str, Any]]] = [[{}, {}], [{"mood": "hungry"}, {}], [{}, {"mood": "full"}]]
    for extras in answers:
        rows = [PROFILE | extra for extra in extras]
        read = endpoint.read(response({"success": True, "user_profiles": rows}).body).user_profiles
        assert [row.model_extra for row in read] == extras


def test_a_decoded_row_equals_one_that_was_made() -> None:
    assert profile() == ProfileView.model_validate(PROFILE)
    assert profile(mood="hungry") == ProfileView.model_validate(PROFILE | {"mood": "hungry"})
    assert profile(mood="hungry") != profile()


def test_a_note_may_be_left_on_a_decoded_row() -> None:
    row, other = profile(), profile()
    row.mood = "hungry"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    row.content = "likes tofu"
    assert (row.model_extra, row.content) == ({"mood": "hungry"}, "likes tofu")
    assert other.model_extra == {}


def test_a_body_that_is_wrong_is_wrong_with_and_without_unknown_fields() -> None:
    endpoint = get(GetProfilesViewResponse)
    for more in ({}, {"mood": "hungry"}):
        body = response({"success": True, "user_profiles": [PROFILE | {"user_id": 7} | more]})
        for _ in range(2):
            with pytest.raises(UnexpectedResponse, match="user_id"):
                decode(endpoint, REFLEXIO, body)


def test_a_known_word_is_an_enum_member() -> None:
    assert profile(status="pending").status is Status.PENDING


def test_an_unknown_word_is_kept_as_text() -> None:
    row = profile(status="hibernating", profile_time_to_live="one_decade")
    assert (row.status, row.profile_time_to_live) == ("hibernating", "one_decade")


def test_current_is_none_whether_absent_or_null() -> None:
    assert profile().status is None
    assert profile(status=None).status is None


def test_an_operation_of_an_unknown_state_is_kept() -> None:
    def state(word: str) -> object:
        slot = {"service_name": "s", "status": word, "started_at": 1}
        answer = decode(
            get(GetOperationStatusResponse), REFLEXIO, response({"success": True, "operation_status": slot})
        )
        assert answer.operation_status is not None
        return answer.operation_status.status

    assert state("in_progress") is OperationStatus.IN_PROGRESS
    assert state("paused") == "paused"


def test_lists_that_are_absent_are_empty_and_nobody_elses() -> None:
    first, second = profile(), profile()
    first.tags.append("x")
    assert second.tags == []


def test_a_response_may_be_a_list_or_a_mapping() -> None:
    assert decode(get(list[int]), REFLEXIO, response([1, 2])) == [1, 2]
    assert decode(get(dict[str, str]), REFLEXIO, response({"status": "healthy"})) == {"status": "healthy"}


def test_a_response_may_be_null_where_the_endpoint_says_so() -> None:
    assert decode(get(list[int]).or_none(), REFLEXIO, response(None)) is None
    with pytest.raises(UnexpectedResponse):
        decode(get(list[int]), REFLEXIO, response(None))


def test_a_token_stays_out_of_its_repr() -> None:
    token = decode(get(LoginResponse), REFLEXIO, response({"api_key": "SECRET", "token_type": "bearer"}))
    assert token.api_key == "SECRET"
    assert "SECRET" not in repr(token)


# --- what the API does not promise


def test_a_web_page_with_status_200_names_the_url_its_type_and_what_to_check() -> None:
    error = unexpected(b"<!doctype html><p>Welcome", kind="text/html; charset=utf-8")
    assert (error.url, error.status) == (URL, 200)
    for part in (URL, "200", "text/html", "not JSON", "REFLEXIO_API_URL"):
        assert part in str(error)


@pytest.mark.parametrize("body", [b"", b'{"success": tr', b"\xff\xfe", b"NaN}"], ids=repr)
def test_what_cannot_be_read_is_not_json(body: bytes) -> None:
    assert "not JSON" in str(unexpected(body))


def test_an_answer_without_a_content_type_says_so() -> None:
    bare = RawResponse(200, {}, b"hello", URL)
    with pytest.raises(UnexpectedResponse, match="no content type"):
        decode(get(WhoamiResponse), REFLEXIO, bare)


def test_a_wrong_shape_names_the_fields_but_not_their_values() -> None:
    error = unexpected({"success": "MARKER", "storage_type": ["MARKER"]})
    assert "another shape" in str(error)
    for field in ("success", "org_id", "storage_type"):
        assert field in str(error)
    assert "MARKER" not in str(error)


@pytest.mark.parametrize("body", [[], "text", 3, None, True], ids=repr)
def test_json_that_is_no_object_is_a_wrong_shape(body: Any) -> None:
    assert "another shape" in str(unexpected(body))


# --- HTTP 200 with success: false


def refused(text: dict[str, Any]) -> RequestRefused:
    value = decode(get(RerunProfileGenerationResponse), REFLEXIO, response({"success": False, **text}))
    refusal = refusal_of(GET, REFLEXIO, value)
    assert refusal is not None
    assert refusal.response is value
    return refusal


def test_a_refusal_says_what_the_server_said_in_msg() -> None:
    text = "Another generation attempt is already in progress"
    assert str(refused({"msg": text})) == f"GET /api/things was refused: {text}"


def test_a_refusal_says_what_the_server_said_in_message() -> None:
    value = PublishUserInteractionResponse(success=False, message="request_id 'r' already exists")
    assert str(refusal_of(GET, REFLEXIO, value)).endswith("was refused: request_id 'r' already exists")


def test_of_a_traceback_only_the_last_line_is_shown() -> None:
    trace = 'Traceback (most recent call last):\n  File "/srv/db.py", line 1, in f\nOSError: disk full\n'
    assert str(refused({"msg": trace})) == "GET /api/things was refused: OSError: disk full"


@pytest.mark.parametrize("text", [{}, {"msg": None}, {"msg": ""}, {"msg": "  "}], ids=repr)
def test_a_refusal_without_a_reason_says_so(text: dict[str, Any]) -> None:
    assert str(refused(text)).endswith("the server gave no reason")


def test_a_long_reason_is_cut() -> None:
    assert len(refusal_text(RerunProfileGenerationResponse(success=False, msg="x" * 10_000))) < 1000


@pytest.mark.parametrize(
    "value", [{"status": "healthy"}, [1], WhoamiResponse(success=True, org_id="o")], ids=repr
)
def test_what_does_not_say_false_is_no_refusal(value: Any) -> None:
    assert refusal_of(GET, REFLEXIO, value) is None
