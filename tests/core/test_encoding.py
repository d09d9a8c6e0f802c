"""Encoding requests: from a model to a path, a query, headers and a body."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from reflexio_async import InvalidRequest
from reflexio_async._engine.models import Empty, Query, RequestModel, build_request
from reflexio_async._engine.wire import Endpoint, encode
from reflexio_async.reflexio.models.enums import Status
from reflexio_async.reflexio.models.interactions import (
    ByRequest,
    InteractionData,
    PublishUserInteractionRequest,
)
from reflexio_async.reflexio.models.operations import (
    RerunProfileGenerationRequest,
    RerunProfileGenerationWait,
)
from reflexio_async.reflexio.models.profiles import GetUserProfilesRequest


def endpoint(method: str, path: str, **options: Any) -> Endpoint[dict[str, str]]:
    return Endpoint(method, path, dict[str, str], **options)


POST = endpoint("POST", "/api/things")


class ByJob(RequestModel):
    job_id: str


class Filters(RequestModel):
    limit: Annotated[int | None, Query()] = None
    deep: Annotated[bool, Query()] = False
    kind: Annotated[str | None, Query()] = Field(default=None, serialization_alias="kindName")
    note: str | None = None


def sent(request: BaseModel, endpoint: Endpoint[dict[str, str]] = POST) -> Any:
    body = encode(endpoint, request).body
    assert body is not None
    return json.loads(body)


def a_publish(**more: Any) -> PublishUserInteractionRequest:
    fields = {"user_id": "u", "session_id": "s", "interactions": [{"content": "hello"}], **more}
    return PublishUserInteractionRequest.model_validate(fields)


# --- the body


def test_fields_that_were_not_set_are_absent() -> None:
    assert sent(GetUserProfilesRequest(user_id="u")) == {"user_id": "u"}


def test_a_field_set_to_none_is_null() -> None:
    assert sent(GetUserProfilesRequest(user_id="u", top_k=None)) == {"user_id": "u", "top_k": None}


def test_a_field_set_to_its_default_is_sent() -> None:
    assert sent(GetUserProfilesRequest(user_id="u", top_k=30))["top_k"] == 30


def test_fields_of_a_turn_that_were_not_set_are_absent() -> None:
    request = a_publish(interactions=[InteractionData(content="a"), {"role": "user", "content": "b"}])
    assert sent(request)["interaction_data_list"] == [{"content": "a"}, {"role": "user", "content": "b"}]


@pytest.mark.parametrize("name", ["interactions", "interaction_data_list"])
def test_a_renamed_field_is_accepted_by_both_names_and_sent_by_the_servers(name: str) -> None:
    fields = {"user_id": "u", "session_id": "s", name: [{"content": "a"}]}
    request = build_request(PublishUserInteractionRequest, fields)
    assert sent(request) == {"user_id": "u", "session_id": "s", "interaction_data_list": [{"content": "a"}]}


def test_current_is_null_inside_a_status_filter() -> None:
    request = GetUserProfilesRequest(user_id="u", status_filter=[None, Status.PENDING])
    assert sent(request)["status_filter"] == [None, "pending"]


def test_an_empty_status_filter_stays_empty() -> None:
    assert sent(GetUserProfilesRequest(user_id="u", status_filter=[]))["status_filter"] == []


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(datetime(2025, 1, 2, 3, 4, 5), id="naive"),  # noqa: DTZ001  # what is tested
        pytest.param(datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC), id="aware"),
        pytest.param(datetime(2025, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2))), id="elsewhere"),
        pytest.param("2025-01-02T03:04:05", id="naive text"),
        pytest.param("2025-01-02T05:04:05+02:00", id="aware text"),
        pytest.param(1735787045, id="epoch"),
    ],
)
def test_times_are_sent_as_aware_utc(given: object) -> None:
    request = build_request(RerunProfileGenerationRequest, {"start_time": given})
    assert sent(request) == {"start_time": "2025-01-02T03:04:05Z"}


@pytest.mark.parametrize("given", ["2020", "1700000000", " 2020 ", "-5", "1.5e9", "1700000000.5", "20200131"])
def test_a_time_given_as_a_number_in_text_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequest, match=r"start_time: must be a datetime or a text like 2020-01-31T"):
        build_request(RerunProfileGenerationRequest, {"start_time": given})


def test_the_options_of_a_wait_are_not_sent() -> None:
    request = RerunProfileGenerationWait(user_id="u", wait_for_response=True, poll_interval=1, wait_timeout=2)
    assert sent(request) == {"user_id": "u"}


def test_text_is_utf_8() -> None:
    encoded = encode(POST, GetUserProfilesRequest(user_id="ü🍣"))
    assert encoded.body == '{"user_id":"ü🍣"}'.encode()
    assert encoded.content_type == "application/json"


def test_an_empty_request_is_an_empty_object() -> None:
    assert encode(POST, Empty()).body == b"{}"


def test_a_get_has_no_body() -> None:
    encoded = encode(endpoint("GET", "/api/whoami"), Empty())
    assert (encoded.body, encoded.content_type) == (None, None)


def test_a_delete_has_a_body() -> None:
    assert sent(GetUserProfilesRequest(user_id="u"), endpoint("DELETE", "/api/things")) == {"user_id": "u"}


def test_a_form_is_url_encoded() -> None:
    class Form(RequestModel):
        username: str
        password: str

    encoded = encode(endpoint("POST", "/token", form=True), Form(username="a b@c", password="p&q=ü"))
    assert encoded.body == b"username=a+b%40c&password=p%26q%3D%C3%BC"
    assert encoded.content_type == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "fields",
    [
        {"user_id": "a\ud800"},
        {"interactions": [{"content": "a\ud800"}]},
        {"interactions": [{"tools_used": [{"tool_name": "t", "tool_data": {"handle": object()}}]}]},
        {"interactions": [{"tools_used": [{"tool_name": "t", "tool_data": {"score": float("nan")}}]}]},
    ],
    ids=["lone surrogate", "lone surrogate in a turn", "an object", "not a number"],
)
def test_a_value_without_json_is_an_invalid_request(fields: dict[str, Any]) -> None:
    good = {"user_id": "u", "session_id": "s", "interactions": [{"content": "x"}]}
    with pytest.raises(InvalidRequest):
        encode(POST, build_request(PublishUserInteractionRequest, good | fields))


@pytest.mark.parametrize(
    "endpoint",
    [endpoint("GET", "/x"), endpoint("GET", "/x/{request_id}")],
    ids=["query", "path"],
)
def test_a_value_that_no_url_can_hold_is_an_invalid_request(endpoint: Endpoint[dict[str, str]]) -> None:
    request = ByRequest(request_id="a")
    request.request_id = "a\ud800"  # set later, it is not looked at before
    with pytest.raises(InvalidRequest, match="not valid Unicode"):
        encode(endpoint, request)


def test_a_value_that_no_form_can_hold_is_an_invalid_request() -> None:
    request = GetUserProfilesRequest(user_id="a")
    request.user_id = "a\ud800"
    with pytest.raises(InvalidRequest, match="not valid Unicode"):
        encode(endpoint("POST", "/x", form=True), request)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"user_id": "a\ud800"}, "user_id: must be valid Unicode"),
        ({"interactions": [{"content": "a\ud800"}]}, r"interactions\.0\.content: must be valid Unicode"),
    ],
)
def test_text_that_is_not_unicode_is_refused_with_the_name_of_its_field(
    fields: dict[str, Any], named: str
) -> None:
    good = {"user_id": "u", "session_id": "s", "interactions": [{"content": "x"}]}
    with pytest.raises(InvalidRequest, match=named):
        build_request(PublishUserInteractionRequest, good | fields)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))),
    ],
    ids=["before", "after"],
)
def test_a_time_outside_of_the_calendar_is_an_invalid_request(moment: datetime) -> None:
    with pytest.raises(InvalidRequest, match="start_time"):
        build_request(RerunProfileGenerationRequest, {"start_time": moment})


# --- the path


@pytest.mark.parametrize(
    ("job_id", "quoted"),
    [
        ("plain-1_2.3~4", "plain-1_2.3~4"),
        ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"),
        ("a b", "a%20b"),
        ("a?b#c", "a%3Fb%23c"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("{job_id}", "%7Bjob_id%7D"),
        ("ü", "%C3%BC"),
        ("a\nb", "a%0Ab"),
    ],
)
def test_an_id_is_quoted_in_the_path(job_id: str, quoted: str) -> None:
    encoded = encode(endpoint("DELETE", "/api/jobs/{job_id}/stop"), ByJob(job_id=job_id))
    assert encoded.path == encoded.target == f"/api/jobs/{quoted}/stop"


@pytest.mark.parametrize("job_id", ["", ".", ".."])
def test_an_id_that_would_name_another_path_is_refused(job_id: str) -> None:
    with pytest.raises(InvalidRequest, match="job_id"):
        encode(endpoint("GET", "/api/jobs/{job_id}"), ByJob(job_id=job_id))


def test_fields_in_the_path_are_not_in_the_body() -> None:
    assert sent(ByJob(job_id="j"), endpoint("POST", "/api/jobs/{job_id}")) == {}


# --- the query


def test_marked_fields_are_sent_in_the_query_and_the_others_in_the_body() -> None:
    encoded = encode(POST, Filters(limit=5, deep=True, note="n"))
    assert encoded.path == "/api/things"
    assert encoded.target == "/api/things?limit=5&deep=true"
    assert encoded.body == b'{"note":"n"}'


def test_booleans_are_lower_case_in_the_query() -> None:
    assert encode(POST, Filters(deep=False)).target == "/api/things?deep=false"


def test_fields_that_are_not_set_or_none_are_not_in_the_query() -> None:
    assert encode(POST, Filters()).target == "/api/things"
    assert encode(POST, Filters(limit=None)).target == "/api/things"


def test_a_renamed_query_field_is_sent_by_the_servers_name() -> None:
    assert encode(POST, Filters(kind="x")).target == "/api/things?kindName=x"


def test_query_values_are_quoted() -> None:
    assert encode(POST, Filters(kind="a&b=c d/ü")).target == "/api/things?kindName=a%26b%3Dc+d%2F%C3%BC"


def test_an_endpoint_may_always_send_a_query() -> None:
    with_query = endpoint("POST", "/api/things", query=(("wait_for_response", "true"),))
    assert encode(with_query, Filters(limit=1)).target == "/api/things?wait_for_response=true&limit=1"


def test_a_publish_sends_wait_for_response_in_the_query() -> None:
    encoded = encode(POST, a_publish(wait_for_response=True))
    assert encoded.target == "/api/things?wait_for_response=true"
    assert b"wait_for_response" not in (encoded.body or b"")


# --- the arguments


def test_a_model_is_not_copied() -> None:
    request = GetUserProfilesRequest(user_id="u")
    assert build_request(GetUserProfilesRequest, request) is request


def test_a_mapping_becomes_a_model() -> None:
    assert build_request(GetUserProfilesRequest, {"user_id": "u"}) == GetUserProfilesRequest(user_id="u")


@pytest.mark.parametrize("given", ["u", ["u"], None, 3, Empty()], ids=repr)
def test_a_value_of_another_type_is_refused_with_the_name_of_its_type(given: Any) -> None:
    with pytest.raises(
        InvalidRequest, match=f"GetUserProfilesRequest or a mapping, not {type(given).__name__}"
    ):
        build_request(GetUserProfilesRequest, given)


def test_every_wrong_field_is_named_with_what_was_expected() -> None:
    with pytest.raises(InvalidRequest) as caught:
        build_request(GetUserProfilesRequest, {"top_k": 0, "user": "u", "start_time": "soon"})
    message = str(caught.value)
    for field in ("user_id: Field required", "top_k: ", "user: there is no such field", "start_time: "):
        assert field in message


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"interactions": [3]}, r"interactions\.0: must be a mapping or InteractionData$"),
        ({"interactions": []}, r"interactions: must not be empty$"),
        ({"source": "No Source"}, r"source: must match the pattern \^"),
        ({"interactions": "hello"}, r"interactions: must be a list, not one of its items$"),
    ],
    ids=["no mapping", "empty", "pattern", "text for a list"],
)
def test_what_was_expected_of_a_field_is_said_in_plain_words(fields: dict[str, Any], says: str) -> None:
    given = {"user_id": "u", "session_id": "s", "interactions": [{"content": "x"}]}
    with pytest.raises(InvalidRequest, match=says):
        build_request(PublishUserInteractionRequest, given | fields)


def test_a_fault_of_the_whole_request_has_no_field_before_it() -> None:
    day = datetime(2025, 1, 2, tzinfo=UTC)
    with pytest.raises(InvalidRequest) as caught:
        build_request(GetUserProfilesRequest, {"user_id": "u", "start_time": day, "end_time": day}, "call")
    assert str(caught.value) == "call: end_time must be after start_time"


def test_a_wrong_field_of_a_turn_is_named_by_its_position() -> None:
    turns = [{"content": "fine"}, {"content": 3}]
    with pytest.raises(InvalidRequest, match=r"interactions\.1\.content: Input should be a valid string$"):
        build_request(
            PublishUserInteractionRequest, {"user_id": "u", "session_id": "s", "interactions": turns}
        )


@pytest.mark.parametrize(
    "fields",
    [
        {"user_id": {"name": "MARKER"}},
        {"user_id": "u", "interactions": "MARKER"},
        {"user_id": "u", "interactions": [{"content": 1, "role": ["MARKER"]}]},
        {"user_id": "u", "interactions": [{"user_action": "MARKER"}]},
        {"user_id": "u", "source": "MARKER!"},
    ],
    ids=["wrong type", "text for a list", "in a turn", "unknown word", "pattern"],
)
def test_errors_never_repeat_the_values(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build_request(PublishUserInteractionRequest, {"session_id": "s", **fields})
    assert "MARKER" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"user_id": " "}, "user_id"),
        ({"session_id": ""}, "session_id"),
        ({"interactions": []}, "interactions"),
        ({"interactions": [{"content": "x"}] * 1001}, "interactions"),
        ({"interactions": [{"content": "x" * 1_000_001}]}, "interactions.0.content"),
        ({"interactions": [{"content": "x", "user_action": "click"}]}, "user_action_description"),
        ({"source": "Web"}, "source"),
        ({"source": "a" * 129}, "source"),
        ({"evaluation_only": True, "force_extraction": True}, "evaluation_only"),
        ({"request_id": ""}, "request_id"),
    ],
    ids=[
        "blank user",
        "no session",
        "no turns",
        "too many turns",
        "too long a turn",
        "an action without words",
        "upper case source",
        "long source",
        "two options at odds",
        "no id",
    ],
)
def test_a_publish_that_the_server_would_refuse_is_an_invalid_request(
    fields: dict[str, Any], named: str
) -> None:
    good = {"user_id": "u", "session_id": "s", "interactions": [{"content": "x"}]}
    with pytest.raises(InvalidRequest) as caught:
        build_request(PublishUserInteractionRequest, good | fields)
    assert named in str(caught.value)


def test_invalid_requests_are_value_errors_too() -> None:
    assert issubclass(InvalidRequest, ValueError)
