"""Broken and hostile responses: every error is one of ours, on one line, and reading takes linear time."""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from reflexio_async import AsyncReflectClient, AsyncReflexioClient, ReflexioError, UnexpectedResponse
from reflexio_async._engine.rate_limits import RateLimiter
from reflexio_async._engine.retry import retry_after
from reflexio_async._engine.wire import EncodedRequest, Endpoint, RawResponse, decode, error_for, refusal_of
from reflexio_async.legacy.api import LegacyAPI
from reflexio_async.reflect.api import QUERY_MEMORIES
from reflexio_async.reflect.service import REFLECT
from reflexio_async.reflexio.api.identity import HEALTH
from reflexio_async.reflexio.api.operations import GET_OPERATION_STATUS
from reflexio_async.reflexio.api.profiles import GET_PROFILES
from reflexio_async.reflexio.jobs import (
    PROFILE_RERUN,
    aggregation_status,
    learning_status,
    operation,
    regeneration_status,
)
from reflexio_async.reflexio.models.aggregation import PlaybookAggregationOperation
from reflexio_async.reflexio.models.evaluation import RegenerateStatusResponse
from reflexio_async.reflexio.models.interactions import LearningStatusResponse
from reflexio_async.reflexio.models.operations import OperationStatusInfo
from reflexio_async.reflexio.service import REFLEXIO
from reflexio_async.sandbox import VirtualClock
from tests.calls import calls

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "https://example.test/api/things"
REQUEST = EncodedRequest("POST", "/api/things", "/api/things", b"{}", "application/json")
ENDPOINTS = [
    (call.endpoint, REFLECT if owner is AsyncReflectClient else REFLEXIO)
    for owner in (AsyncReflexioClient, AsyncReflectClient, LegacyAPI)
    for call in calls(owner).values()
]

numbers: st.SearchStrategy[Any] = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, -(10**400), 10**4000, 1e308, 253402300800, -62135596801]),
)
texts = st.one_of(
    st.text(max_size=10),
    st.sampled_from(
        [
            "\x1b[2J\x1b[1;1H",
            "\r\na line of its own",
            "\u202e",
            "\ud800",
            "9" * 5000,
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "x" * 20_000,
        ]
    ),
)
"""Some have control characters, lone surrogates or absurd lengths; some are times outside of the calendar."""
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
error_bodies = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("detail", "error", "message", "success", "msg"), json_values)
)
broken = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b'{"success":' + b"9" * 5000 + b"}",
            b'{"success":true,"msg":"\\ud800"}',
            b'{"success":true,"msg":"\xff\xfe"}',
            b"\xef\xbb\xbf{}",
            "{}".encode("utf-16"),
        ]
    ),
)
bodies = st.one_of(broken, (json_values | error_bodies).map(lambda value: json.dumps(value).encode()))
headers = st.dictionaries(
    st.sampled_from(
        [
            "Content-Type",
            "Date",
            "Location",
            "Retry-After",
            "X-RateLimit-Remaining",
            "X-RateLimit-Reset",
            "x-correlation-id",
        ]
    ),
    st.one_of(
        texts,
        st.floats().map(str),
        st.integers(-1, 10**15).map(str),
        st.sampled_from(
            [
                "0",
                "nan",
                "-inf",
                "1e999",
                "9" * 400,
                "Wed, 18 Nov 99999999999999999999 11:06:40 GMT",
                "Wed, 18 Nov 0001 11:06:40 +2359",
                "Wed, 18 Nov 9999 23:59:59 -2359",
                "Wed, 32 Foo 2026 25:61:61 GMT",
                "18 Nov 2026 11:06:40 -0000",
                "text/plain",
                "text/plain; charset=no-such-charset",
                "application/json",
            ]
        ),
    ),
)
fuzzed = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def shaped(kind: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that are almost of the type ``kind``: now and then one of another type, or a field too few."""
    origin, parts = get_origin(kind), get_args(kind)
    good: st.SearchStrategy[Any] = json_values
    if origin is Annotated:
        return shaped(parts[0], depth)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = {
            name: shaped(field.annotation, depth + 1) if depth < 4 else st.none()
            for name, field in kind.model_fields.items()
        }
        required = {
            name: fields.pop(name) for name, field in kind.model_fields.items() if field.is_required()
        }
        good = st.fixed_dictionaries(required, optional=fields)
    elif origin in (list, Sequence):
        good = st.lists(shaped(parts[0], depth + 1), max_size=2)
    elif origin in (dict, Mapping):
        good = st.dictionaries(texts, shaped(parts[1], depth + 1), max_size=2)
    elif origin is Literal:
        good = st.sampled_from(parts)
    elif parts:
        good = st.one_of(*(shaped(part, depth) for part in parts))
    elif kind in (bool, NoneType, str, int, float):
        good = {bool: st.booleans(), NoneType: st.none(), str: texts, int: numbers, float: numbers}[kind]
    elif kind is datetime:
        good = numbers | texts
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        good = st.sampled_from([member.value for member in kind])
    # One in eight is anything.
    return st.integers(0, 7).flatmap(lambda number: good if number else json_values)


def check(text: str) -> None:
    assert text.isprintable()
    assert len(text) <= 4001


def read(endpoint: Endpoint[Any], service: Any, body: bytes) -> Any:
    """The value of a 2xx response with ``body``, or None when it is refused with an error of ours."""
    response = RawResponse(200, {"Content-Type": "application/json"}, body, URL)
    try:
        value = decode(endpoint, service, response)
    except ReflexioError as error:
        check(str(error))
        return None
    refusal = refusal_of(endpoint, service, value)
    if refusal is not None:
        check(str(refusal))
    return value


@given(st.sampled_from(ENDPOINTS), bodies)
@fuzzed
def test_any_body_is_a_value_or_an_error_of_ours(where: tuple[Endpoint[Any], Any], body: bytes) -> None:
    read(*where, body)


@given(st.data())
@fuzzed
def test_an_almost_right_body_is_a_value_or_an_error_of_ours(data: st.DataObject) -> None:
    endpoint, service = data.draw(st.sampled_from(ENDPOINTS))
    value = read(endpoint, service, json.dumps(data.draw(shaped(endpoint.response))).encode())
    if isinstance(value, BaseModel):
        repr(value)
        # As the cache does it.
        assert type(endpoint.read(value.model_dump_json().encode())) is type(value)


@given(st.integers(100, 999), bodies, headers)
@fuzzed
def test_any_other_response_is_an_error_of_ours(status: int, body: bytes, given: dict[str, str]) -> None:
    response = RawResponse(status, given, body, URL)
    error = error_for(GET_PROFILES, REFLEXIO, REQUEST, response, now=1_795_000_000.0)
    assert isinstance(error, ReflexioError)
    check(str(error))
    seconds = getattr(error, "retry_after", None)
    assert seconds is None or 0 <= seconds <= 3600


@given(st.lists(st.tuples(st.booleans(), bodies, headers), max_size=5))
@fuzzed
def test_no_response_closes_a_path_for_more_than_an_hour(
    responses: list[tuple[bool, bytes, dict[str, str]]],
) -> None:
    rate_limiter = RateLimiter(VirtualClock())
    for refused, body, heads in responses:
        permit = rate_limiter.try_acquire()
        if permit is None:
            break
        rate_limiter.release(permit, counted=not refused)
        rate_limiter.observe(heads)
        if refused:
            rate_limiter.refused(permit, heads, body)
        assert rate_limiter.opens_in() < 3601


@given(st.text() | texts)
@fuzzed
def test_any_retry_after_is_at_most_an_hour(text: str) -> None:
    seconds = retry_after({"Retry-After": text, "Date": text}, 0.0)
    assert seconds is None or 0 <= seconds <= 3600


READERS: dict[type[BaseModel], Callable[[Any], Any]] = {
    LearningStatusResponse: learning_status,
    OperationStatusInfo: operation,
    PlaybookAggregationOperation: aggregation_status,
    RegenerateStatusResponse: regeneration_status,
}


@pytest.mark.parametrize("model", READERS, ids=lambda model: str(model.__name__))
@given(data=st.data())
@fuzzed
def test_any_status_that_was_read_is_understood(model: type[BaseModel], data: st.DataObject) -> None:
    value = read(
        Endpoint("GET", "/api/things", model), REFLEXIO, json.dumps(data.draw(shaped(model))).encode()
    )
    if value is None:
        return
    understood = READERS[model](value)
    if model is OperationStatusInfo:
        PROFILE_RERUN.result(understood)
        understood = understood.status
    assert understood.progress is None or 0 <= understood.progress <= 1


def test_a_count_that_is_no_number_is_no_count() -> None:
    info = OperationStatusInfo(
        service_name="profile_generation", status="completed", started_at=1, stats={"total_generated": "many"}
    )
    assert PROFILE_RERUN.result(operation(info)).profiles_generated is None


# --- the cost


def large(unit: bytes, size: int) -> bytes:
    return b"[" + (unit + b",") * (size // (len(unit) + 1)) + unit + b"]"


COSTLY: dict[str, tuple[Endpoint[Any], Callable[[int], bytes]]] = {
    "bad rows": (GET_PROFILES, lambda size: b'{"success":true,"user_profiles":' + large(b"{}", size) + b"}"),
    "a list for a bool": (GET_PROFILES, lambda size: b'{"success":' + large(b"{}", size) + b"}"),
    "a list": (GET_PROFILES, lambda size: large(b"{}", size)),
    "memories, or null": (QUERY_MEMORIES, lambda size: large(b"{}", size)),
    "bad values": (
        HEALTH,
        lambda size: b"{" + b",".join(b'"%d":1' % number for number in range(size // 9)) + b"}",
    ),
    "unknown fields of a bad row": (
        GET_OPERATION_STATUS,
        lambda size: b'{"success":true,"operation_status":{"x":' + large(b"{}", size) + b"}}",
    ),
    "nested": (GET_PROFILES, lambda size: b"[" * size),
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_megabyte_of_the_worst_is_refused_in_less_than_a_second(name: str) -> None:
    endpoint, body = COSTLY[name]
    read(endpoint, REFLEXIO, b"{}")  # builds the models
    began = time.process_time()
    assert read(endpoint, REFLEXIO, body(2**20)) is None
    assert time.process_time() - began < 1


def entries_at_fault(endpoint: Endpoint[Any], value: Any) -> set[int]:
    """The places in lists of which the error of such a response speaks."""
    try:
        endpoint.read(json.dumps(value).encode())
    except ValidationError as error:
        return {part for fault in error.errors() for part in fault["loc"] if isinstance(part, int)}
    return set()


def test_a_list_is_read_up_to_its_first_bad_entry() -> None:
    bad: list[Any] = [[[]], [[]], [[]]]
    for endpoint, _ in ENDPOINTS:
        if endpoint.path == "/api/get_config":
            continue  # callers write a configuration too, and are told of every fault
        values: list[Any] = [bad]
        if isinstance(endpoint.response, type) and issubclass(endpoint.response, BaseModel):
            values.append(dict.fromkeys(endpoint.response.model_fields, bad))
        for value in values:
            assert entries_at_fault(endpoint, value) <= {0}, endpoint


@pytest.mark.parametrize("status", [400, 422, 429, 500])
@pytest.mark.parametrize("filler", [b"1", b"x", b'{"msg":"x"},', b"\\", b"<p>"], ids=repr)
def test_of_a_large_error_body_only_the_beginning_is_read(status: int, filler: bytes) -> None:
    body = b'{"detail":["' + filler * (4 * 2**20 // len(filler))
    for kind in ("application/json", "text/plain"):
        began = time.process_time()
        error_for(
            GET_PROFILES, REFLEXIO, REQUEST, RawResponse(status, {"Content-Type": kind}, body, URL), now=0.0
        )
        assert time.process_time() - began < 1


def test_the_fields_at_fault_are_named_though_the_rest_of_a_large_422_is_cut_off() -> None:
    fault = {"type": "t", "loc": ["body", "user_id"], "msg": "Field required", "input": "x" * 100_000}
    response = RawResponse(422, {}, json.dumps({"detail": [fault]}).encode(), URL)
    error = error_for(GET_PROFILES, REFLEXIO, REQUEST, response, now=0.0)
    assert str(error).endswith("answered 422: user_id: Field required")


def test_a_long_detail_is_shown_from_its_beginning() -> None:
    response = RawResponse(400, {}, json.dumps({"detail": "no room; " * 10_000}).encode(), URL)
    error = error_for(GET_PROFILES, REFLEXIO, REQUEST, response, now=0.0)
    assert "answered 400: no room; no room;" in str(error)
    assert len(str(error)) < 1000


def test_of_many_bad_fields_the_first_are_named_and_the_rest_counted() -> None:
    fields = {f"field_{number}": 1 for number in range(100)}
    with pytest.raises(UnexpectedResponse, match=r"field_0: Input should be a valid string; field_1: "):
        decode(HEALTH, REFLEXIO, RawResponse(200, {}, json.dumps(fields).encode(), URL))


def test_a_refused_field_is_said_once() -> None:
    body = b'{"success":true,"user_profiles":[],"deleted_counts":5,"operation_status":null,"msg":5}'
    with pytest.raises(UnexpectedResponse) as caught:
        decode(GET_OPERATION_STATUS, REFLEXIO, RawResponse(200, {}, body, URL))
    assert str(caught.value).endswith("the response: msg: Input should be a valid string")
