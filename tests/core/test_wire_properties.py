"""Properties of encoding: every valid request arrives as it was given."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexio_async._engine.models import RequestModel, build_request
from reflexio_async._engine.wire import Endpoint, encode
from reflexio_async.reflexio.models.enums import ProfileTimeToLive, Status, UserActionType
from reflexio_async.reflexio.models.interactions import (
    ByRequest,
    GetRequestsRequest,
    PublishUserInteractionRequest,
)
from reflexio_async.reflexio.models.operations import (
    CancelOperationRequest,
    ManualPlaybookGenerationRequest,
    ManualProfileGenerationRequest,
    RerunPlaybookGenerationRequest,
    RerunProfileGenerationRequest,
)
from reflexio_async.reflexio.models.playbooks import GetUserPlaybooksRequest, UpgradeUserPlaybooksRequest
from reflexio_async.reflexio.models.profiles import GetUserProfilesRequest, UpgradeProfilesRequest

if TYPE_CHECKING:
    from pydantic import BaseModel

POST = Endpoint("POST", "/api/things", dict[str, str])
LEARNING = Endpoint("GET", "/api/learning_status", dict[str, str])
PARTS = Endpoint("GET", "/api/things/{thing_id}/parts", dict[str, str])

texts = st.text(max_size=20)
names = texts.filter(lambda text: bool(text.strip()))
sources = st.from_regex(r"([a-z0-9][a-z0-9._:-]{0,20})?", fullmatch=True)
zones: list[tzinfo | None] = [None, UTC, *(timezone(timedelta(hours=hours)) for hours in (-12, -7, 2, 12))]
naive_times = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001  # the zone is drawn separately
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
)
times = st.tuples(naive_times, st.sampled_from(zones)).map(lambda drawn: drawn[0].replace(tzinfo=drawn[1]))
counts = st.one_of(st.none(), st.integers(1, 10**6))
statuses = st.lists(st.one_of(st.none(), st.sampled_from(Status)), max_size=4)
turns = st.fixed_dictionaries(
    {"content": texts},
    optional={
        "role": texts,
        "created_at": st.integers(0, 2**40),
        "shadow_content": texts,
        "tools_used": st.lists(st.fixed_dictionaries({"tool_name": texts, "status": texts}), max_size=2),
        "user_action": st.just(UserActionType.NONE),
    },
)
period = {"start_time": st.one_of(st.none(), times), "end_time": st.one_of(st.none(), times)}


def fields(required: dict[str, st.SearchStrategy[Any]], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional).filter(in_order)


def in_order(drawn: dict[str, Any]) -> bool:
    """Whether the end, if there is one, comes after the start."""
    start, end = utc(drawn.get("start_time")), utc(drawn.get("end_time"))
    return start is None or end is None or start < end


def utc(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


REQUESTS: dict[type[BaseModel], st.SearchStrategy[dict[str, Any]]] = {
    PublishUserInteractionRequest: fields(
        {"user_id": names, "session_id": names, "interactions": st.lists(turns, min_size=1, max_size=3)},
        request_id=names,
        source=sources,
        agent_version=texts,
        session_finished=st.booleans(),
        force_extraction=st.booleans(),
        retrieval_experiment_arm=st.none(),
    ),
    RerunProfileGenerationRequest: fields(
        {}, user_id=st.one_of(st.none(), names), source=st.one_of(st.none(), sources), **period
    ),
    RerunPlaybookGenerationRequest: fields({}, agent_version=names, source=sources, **period),
    ManualProfileGenerationRequest: fields({}, user_id=names, source=sources),
    ManualPlaybookGenerationRequest: fields({}, agent_version=names, source=sources),
    CancelOperationRequest: fields({}, service_name=st.sampled_from([None, "profile_generation"])),
    GetUserProfilesRequest: fields(
        {"user_id": names},
        top_k=counts,
        status_filter=st.one_of(st.none(), statuses),
        query=texts,
        profile_time_to_live=st.sampled_from(ProfileTimeToLive).map(str),
        tags=st.lists(texts, max_size=3),
        **period,
    ),
    GetUserPlaybooksRequest: fields({}, user_id=texts, limit=counts, status_filter=statuses, **period),
    GetRequestsRequest: fields({}, user_id=texts, top_k=counts, offset=st.integers(0, 10**6), **period),
    UpgradeProfilesRequest: fields({}, user_id=names, profile_ids=st.lists(texts, max_size=3)),
    UpgradeUserPlaybooksRequest: fields({}, agent_version=texts, archive_current=st.booleans()),
}
every_model = pytest.mark.parametrize("model", REQUESTS, ids=lambda model: str(model.__name__))
thorough = settings(derandomize=True, deadline=None, max_examples=60)


@every_model
@given(data=st.data())
@thorough
def test_a_request_can_be_read_back_from_its_body(model: type[BaseModel], data: st.DataObject) -> None:
    request = build_request(model, data.draw(REQUESTS[model]))
    body = encode(POST, request).body
    assert body is not None
    back = model.model_validate_json(body)
    # Without defaults: that of ``created_at`` is the present second, which may be another one by now.
    assert back.model_dump(exclude_unset=True) == request.model_dump(exclude_unset=True)
    assert back.model_fields_set == request.model_fields_set


@every_model
@given(data=st.data())
@thorough
def test_the_body_holds_the_given_fields_and_no_others(model: type[BaseModel], data: st.DataObject) -> None:
    given_fields = data.draw(REQUESTS[model])
    body = encode(POST, build_request(model, given_fields)).body
    assert body is not None
    on_the_wire = {
        (model.model_fields[name].serialization_alias or name): value for name, value in given_fields.items()
    }
    sent = json.loads(body)
    assert sent.keys() == on_the_wire.keys()
    for name, value in on_the_wire.items():
        if isinstance(value, datetime):
            assert datetime.fromisoformat(sent[name]) == utc(value)
            assert sent[name].endswith("Z")
        else:
            assert sent[name] == value


@given(names)
@thorough
def test_a_query_value_can_be_read_back(request_id: str) -> None:
    encoded = encode(LEARNING, ByRequest(request_id=request_id))
    assert parse_qsl(urlsplit(encoded.target).query, keep_blank_values=True) == [("request_id", request_id)]


class ByThing(RequestModel):
    thing_id: str


@given(names.filter(lambda name: name not in (".", "..")))
@thorough
def test_an_id_is_exactly_one_segment_of_the_path(thing_id: str) -> None:
    encoded = encode(PARTS, ByThing(thing_id=thing_id))
    *head, segment, tail = encoded.target.split("/")
    assert (head, tail) == (["", "api", "things"], "parts")
    assert unquote(segment) == thing_id
    assert encoded.target.isascii()
