"""Decoding responses: from bytes to a value or an error."""

from __future__ import annotations

import json
import math
import pickle
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
from reflexio_async.reflexio.models.dashboard import TimeSeriesDataPoint
from reflexio_async.reflexio.models.enums import OperationStatus, Status
from reflexio_async.reflexio.models.identity import LoginResponse, WhoamiResponse
from reflexio_async.reflexio.models.interactions import PublishUserInteractionResponse
from reflexio_async.reflexio.models.operations import (
    ClearUserDataResponse,
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
    [decoded] = decode(get(GetProfilesViewResponse), REFLEXIO, response(body)).user_profiles
    return decoded


def unexpected(body: Any, *, kind: str = "application/json") -> UnexpectedResponse:
    with pytest.raises(UnexpectedResponse) as caught:
        decode(get(WhoamiResponse), REFLEXIO, response(body, kind=kind))
    return caught.value


def test_unknown_fields_are_in_model_extra() -> None:
    decoded = profile(mood="hungry")
    assert decoded.model_extra == {"mood": "hungry"}
    assert decoded.mood == "hungry"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def test_unknown_fields_are_in_model_extra_of_every_item() -> None:
    endpoint = get(GetProfilesViewResponse)
    bodies: list[list[dict[str, Any]]] = [[{}, {}], [{"mood": "hungry"}, {}], [{}, {"mood": "full"}]]
    for extras in bodies:
        profiles = [PROFILE | extra for extra in extras]
        read = endpoint.read(response({"success": True, "user_profiles": profiles}).body).user_profiles
        assert [profile.model_extra for profile in read] == extras


def test_a_decoded_model_equals_a_validated_one() -> None:
    assert profile() == ProfileView.model_validate(PROFILE)
    assert profile(mood="hungry") == ProfileView.model_validate(PROFILE | {"mood": "hungry"})
    assert profile(mood="hungry") != profile()


def test_attributes_of_a_decoded_model_can_be_set() -> None:
    decoded, other = profile(), profile()
    decoded.mood = "hungry"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    decoded.content = "likes tofu"
    assert (decoded.model_extra, decoded.content) == ({"mood": "hungry"}, "likes tofu")
    assert other.model_extra == {}


def test_a_wrong_body_is_an_error_with_and_without_unknown_fields() -> None:
    endpoint = get(GetProfilesViewResponse)
    for more in ({}, {"mood": "hungry"}):
        body = response({"success": True, "user_profiles": [PROFILE | {"user_id": 7} | more]})
        for _ in range(2):
            with pytest.raises(UnexpectedResponse, match="user_id"):
                decode(endpoint, REFLEXIO, body)


def test_a_known_status_is_an_enum_member() -> None:
    assert profile(status="pending").status is Status.PENDING


def test_an_unknown_status_is_text() -> None:
    decoded = profile(status="hibernating", profile_time_to_live="one_decade")
    assert (decoded.status, decoded.profile_time_to_live) == ("hibernating", "one_decade")


def test_current_is_none_whether_absent_or_null() -> None:
    assert profile().status is None
    assert profile(status=None).status is None


def test_an_unknown_status_of_an_operation_is_text() -> None:
    def decoded_status(text: str) -> object:
        slot = {"service_name": "s", "status": text, "started_at": 1}
        decoded = decode(
            get(GetOperationStatusResponse), REFLEXIO, response({"success": True, "operation_status": slot})
        )
        assert decoded.operation_status is not None
        return decoded.operation_status.status

    assert decoded_status("in_progress") is OperationStatus.IN_PROGRESS
    assert decoded_status("paused") == "paused"


def test_an_absent_list_is_a_new_empty_list() -> None:
    first, second = profile(), profile()
    first.tags.append("x")
    assert second.tags == []


# --- null


def test_null_for_a_list_is_an_empty_list() -> None:
    body = response({"success": True, "user_profiles": None, "msg": None})
    assert decode(get(GetProfilesViewResponse), REFLEXIO, body).user_profiles == []


def test_every_null_list_is_a_list_of_its_own() -> None:
    body = response({"success": True, "user_profiles": None})
    first, second = (decode(get(GetProfilesViewResponse), REFLEXIO, body) for _ in range(2))
    assert first.user_profiles is not second.user_profiles


def test_null_for_a_field_with_a_default_is_the_default() -> None:
    body = response({"success": True, "message": None, "warnings": None, "request_id": None})
    receipt = decode(get(PublishUserInteractionResponse), REFLEXIO, body)
    assert (receipt.message, receipt.warnings, receipt.request_id) == ("", [], None)


def test_null_for_an_object_is_an_empty_object() -> None:
    body = response({"success": True, "deleted_counts": None})
    assert decode(get(ClearUserDataResponse), REFLEXIO, body).deleted_counts == {}


def test_null_for_a_required_text_is_an_error_that_is_said_once() -> None:
    with pytest.raises(UnexpectedResponse, match=r"the response: org_id: Input should be a valid string$"):
        decode(get(WhoamiResponse), REFLEXIO, response({"success": True, "org_id": None}))


def test_what_was_read_from_nulls_can_be_dumped_read_again_and_pickled() -> None:
    read = profile(source_interaction_ids=None, profile_time_to_live=None, custom_features=None)
    assert type(read).model_validate(read.model_dump()) == read
    assert type(read).model_validate_json(read.model_dump_json()) == read
    assert pickle.loads(pickle.dumps(read)) == read  # noqa: S301  # our own dump


def test_the_json_schema_of_a_response_says_that_null_is_read_and_not_written() -> None:
    read = GetProfilesViewResponse.model_json_schema(mode="validation")["properties"]["user_profiles"]
    written = GetProfilesViewResponse.model_json_schema(mode="serialization")["properties"]["user_profiles"]
    assert [kind["type"] for kind in read["anyOf"]] == ["array", "null"]
    assert written["type"] == "array"


def test_of_a_list_only_the_first_bad_entry_is_named() -> None:
    kinds: dict[Any, Any] = {
        GetProfilesViewResponse: {"success": True, "user_profiles": [PROFILE, {"x": 1}, {"x": 1}]},
        list[ProfileView]: [PROFILE, {}, {}],
    }
    for kind, body in kinds.items():
        with pytest.raises(UnexpectedResponse) as caught:
            decode(get(kind), REFLEXIO, response(body))
        assert "1.profile_id: Field required" in str(caught.value)
        assert "2.profile_id" not in str(caught.value)


def test_numbers_that_are_not_finite_stay_what_they_are_in_the_json_of_a_response() -> None:
    point = TimeSeriesDataPoint(timestamp=1, value=math.inf)
    assert TimeSeriesDataPoint.model_validate_json(point.model_dump_json()) == point


def test_a_response_may_be_a_list_or_a_mapping() -> None:
    assert decode(get(list[int]), REFLEXIO, response([1, 2])) == [1, 2]
    assert decode(get(dict[str, str]), REFLEXIO, response({"status": "healthy"})) == {"status": "healthy"}


def test_a_response_may_be_null_with_or_none() -> None:
    assert decode(get(list[int]).or_none(), REFLEXIO, response(None)) is None
    with pytest.raises(UnexpectedResponse):
        decode(get(list[int]), REFLEXIO, response(None))


def test_a_token_is_not_in_its_repr() -> None:
    token = decode(get(LoginResponse), REFLEXIO, response({"api_key": "SECRET", "token_type": "bearer"}))
    assert token.api_key == "SECRET"
    assert "SECRET" not in repr(token)


def test_a_token_is_masked_in_its_dumps() -> None:
    token = decode(get(LoginResponse), REFLEXIO, response({"api_key": "SECRET", "token_type": "bearer"}))
    assert token.model_dump() == {"api_key": "**********", "token_type": "bearer", "auto_verified": None}
    assert "SECRET" not in token.model_dump_json()


# --- bodies that the API does not promise


def test_a_web_page_with_status_200_names_the_url_its_type_and_what_to_check() -> None:
    error = unexpected(b"<!doctype html><p>Welcome", kind="text/html; charset=utf-8")
    assert (error.url, error.status) == (URL, 200)
    for part in (URL, "200", "text/html", "not JSON", "REFLEXIO_API_URL"):
        assert part in str(error)


@pytest.mark.parametrize("body", [b"", b'{"success": tr', b"\xff\xfe", b"NaN}"], ids=repr)
def test_a_body_that_is_not_json_is_an_error(body: bytes) -> None:
    assert "not JSON" in str(unexpected(body))


def test_the_error_says_that_there_is_no_content_type() -> None:
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


def test_a_refusal_has_the_text_of_msg() -> None:
    text = "Another generation attempt is already in progress"
    assert str(refused({"msg": text})) == f"GET /api/things was refused: {text}"


def test_a_refusal_has_the_text_of_message() -> None:
    value = PublishUserInteractionResponse(success=False, message="request_id 'r' already exists")
    assert str(refusal_of(GET, REFLEXIO, value)).endswith("was refused: request_id 'r' already exists")


def test_only_the_last_line_of_a_traceback_is_shown() -> None:
    trace = 'Traceback (most recent call last):\n  File "/srv/db.py", line 1, in f\nOSError: disk full\n'
    assert str(refused({"msg": trace})) == "GET /api/things was refused: OSError: disk full"


@pytest.mark.parametrize("text", [{}, {"msg": None}, {"msg": ""}, {"msg": "  "}], ids=repr)
def test_a_refusal_without_a_reason_says_so(text: dict[str, Any]) -> None:
    assert str(refused(text)).endswith("the server gave no reason")


def test_a_long_reason_is_clipped() -> None:
    assert len(refusal_text(RerunProfileGenerationResponse(success=False, msg="x" * 10_000))) < 1000


@pytest.mark.parametrize(
    "value", [{"status": "healthy"}, [1], WhoamiResponse(success=True, org_id="o")], ids=repr
)
def test_a_response_without_success_false_is_no_refusal(value: Any) -> None:
    assert refusal_of(GET, REFLEXIO, value) is None
