"""Error responses: the class, the message and the attributes of the error for each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reflexio_async import (
    APIStatusError,
    AuthenticationError,
    BadRequest,
    Conflict,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    ServerError,
    UnexpectedResponse,
    UnprocessableRequest,
)
from reflexio_async._engine.wire import EncodedRequest, Endpoint, RawResponse, error_for
from reflexio_async.reflexio.service import REFLEXIO

ENDPOINT = Endpoint("POST", "/api/things/{thing_id}", dict[str, str])
REQUEST = EncodedRequest("POST", "/api/things/7", "/api/things/7?deep=true", b"{}", "application/json")
URL = "https://example.test/api/things/7?deep=true"
NOW = 1_795_000_000.0


def error_of(
    status: int, body: Any = None, *, kind: str = "application/json", headers: dict[str, str] | None = None
) -> Exception:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = RawResponse(status, {"Content-Type": kind, **(headers or {})}, raw, URL)
    return error_for(ENDPOINT, REFLEXIO, REQUEST, response, now=NOW)


def error(status: int, body: Any = None, **more: Any) -> APIStatusError:
    error = error_of(status, body, **more)
    assert isinstance(error, APIStatusError)
    return error


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, BadRequest),
        (401, AuthenticationError),
        (402, APIStatusError),
        (403, PermissionDenied),
        (404, NotFound),
        (405, APIStatusError),
        (409, Conflict),
        (413, PayloadTooLarge),
        (418, APIStatusError),
        (422, UnprocessableRequest),
        (429, RateLimited),
        (500, ServerError),
        (502, ServerError),
        (503, ServerError),
        (504, ServerError),
        (599, ServerError),
    ],
)
def test_every_status_has_its_error_class(status: int, expected: type[APIStatusError]) -> None:
    assert type(error(status, {"detail": "no"})) is expected


def test_an_error_has_method_path_status_and_the_servers_text() -> None:
    caught = error(409, {"detail": "A regenerate is already running for this org"})
    assert (caught.method, caught.path, caught.status) == ("POST", "/api/things/7", 409)
    assert caught.server_message == "A regenerate is already running for this org"
    assert str(caught) == "POST /api/things/7 answered 409: A regenerate is already running for this org"


def test_an_error_carries_headers_and_the_correlation_id() -> None:
    caught = error(404, {"detail": "Unknown job_id"}, headers={"x-correlation-id": "a75f03a8"})
    assert caught.correlation_id == "a75f03a8"
    assert caught.headers["x-correlation-id"] == "a75f03a8"


def test_a_500_has_no_correlation_id() -> None:
    assert error(500, b"Internal Server Error", kind="text/plain").correlation_id is None


# --- the shapes of a body


def test_detail_may_be_a_text() -> None:
    assert error(413, {"detail": "Request body too large"}).server_message == "Request body too large"


def test_detail_may_be_a_list_of_field_errors() -> None:
    faults = [
        {"type": "missing", "loc": ["body", "user_id"], "msg": "Field required", "input": {"x": 1}},
        {"type": "too_long", "loc": ["body", "turns", 3, "content"], "msg": "Too long", "ctx": {"max": 1}},
    ]
    assert error(422, {"detail": faults}).server_message == (
        "user_id: Field required; turns.3.content: Too long"
    )


def test_the_input_that_a_422_repeats_is_dropped() -> None:
    fault = {"type": "t", "loc": ["body"], "msg": "Bad", "input": "MARKER", "ctx": {"given": "MARKER"}}
    caught = error(422, {"detail": [fault], "body": "MARKER"})
    assert "MARKER" not in f"{caught} {caught!r} {caught.server_message} {vars(caught)}"


@pytest.mark.parametrize(
    ("status", "detail", "text"),
    [
        (
            409,
            {"message": "request_id parameters changed", "operation_id": "3bfc"},
            "request_id parameters changed; 3bfc",
        ),
        (409, {"error": "config_write_conflict"}, "config_write_conflict"),
        (
            422,
            {"error": "bad", "hint": "look at storage_config", "validation_errors": [{"input": "MARKER"}]},
            "bad; look at storage_config",
        ),
        (504, {"reason": "admission_timeout", "request_id": "r"}, "admission_timeout"),
    ],
)
def test_detail_may_be_an_object(status: int, detail: dict[str, Any], text: str) -> None:
    assert error(status, {"detail": detail}).server_message == text


def test_the_text_of_the_rate_limiter_is_in_error() -> None:
    body = {"error": "Rate limit exceeded: 5 per 1 minute"}
    assert error(429, body).server_message == "Rate limit exceeded: 5 per 1 minute"


def test_a_500_is_plain_text() -> None:
    caught = error(500, b"Internal Server Error", kind="text/plain; charset=utf-8")
    assert caught.server_message == "Internal Server Error"


def test_of_a_web_page_only_the_content_type_is_shown() -> None:
    caught = error(502, b"<html><body>Bad gateway</body></html>", kind="text/html; charset=utf-8")
    assert caught.server_message == "(text/html)"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1, 2]", b"3", b'"x"', b"\xff\xfe", b"{}", b'{"detail": 3}'], ids=repr
)
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_any_body_makes_an_error_of_its_status(status: int, body: bytes) -> None:
    assert error(status, body).status == status


def test_a_very_long_text_is_clipped() -> None:
    assert len(str(error(500, b"x" * 1_000_000, kind="text/plain"))) < 1000


# --- hints


def test_a_401_says_how_to_sign_in() -> None:
    message = str(error(401, {"detail": "Authentication required"}, headers={"WWW-Authenticate": "Bearer"}))
    for way in ("api_key", "REFLEXIO_API_KEY", "client.login("):
        assert way in message


def test_a_refused_user_agent_says_what_to_change() -> None:
    assert "user_agent" in str(error(403, {"detail": "Forbidden: Suspicious user agent"}))
    assert "user_agent" not in str(error(403, {"detail": "Forbidden: foreign org_id"}))


def test_an_unknown_path_asks_about_the_server_and_the_base_url() -> None:
    message = str(error(404, {"detail": "Not Found"}))
    assert "does this server have /api/things/{thing_id}?" in message
    assert "base URL" in message
    assert "base URL" not in str(error(404, {"detail": "Unknown job_id"}))


# --- outcome_unknown


@pytest.mark.parametrize(
    ("status", "body", "unknown"),
    [
        (400, {"detail": "no"}, False),
        (409, {"detail": "no"}, False),
        (429, {"error": "Rate limit exceeded: 5 per 1 minute"}, False),
        (500, b"Internal Server Error", True),
        (502, b"<html>", True),
        (503, b"<html>", True),
        (503, b"", True),
        (503, {}, True),
        (503, {"detail": "Search capacity exhausted"}, False),
        (503, {"detail": {"reason": "capacity_deadline_exceeded", "request_id": "r"}}, False),
        (504, {"detail": "Request timeout", "reason": "backstop_timeout"}, True),
        (504, {"detail": {"reason": "admission_timeout"}}, True),
    ],
)
def test_a_5xx_leaves_the_outcome_unknown_but_for_a_503_with_a_reason(
    status: int, body: Any, *, unknown: bool
) -> None:
    assert error(status, body).outcome_unknown is unknown


# --- retry_after


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2.0),
        (" 30 ", 30.0),
        ("Wed, 18 Nov 2026 11:07:10 GMT", 30.0),
        ("Wed, 18 Nov 2020 11:07:10 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert error(429, {"detail": "no"}, headers={"Retry-After": text}).retry_after == seconds


def test_without_the_header_retry_after_is_none() -> None:
    assert error(503, {"detail": "no"}).retry_after is None


# --- secrets


def test_secrets_are_redacted_in_the_servers_text() -> None:
    response = RawResponse(403, {"Content-Type": "text/plain"}, b"bad token TOKEN", URL)
    caught = error_for(
        ENDPOINT, REFLEXIO, REQUEST, response, now=NOW, redact=lambda text: text.replace("TOKEN", "***")
    )
    assert str(caught).endswith("bad token ***")
    assert "TOKEN" not in repr(vars(caught))


# --- redirects, and statuses that this API never sends


def test_a_redirect_is_an_error_that_names_both_addresses() -> None:
    caught = error_of(307, b"", headers={"Location": "https://elsewhere.test/"})
    assert isinstance(caught, UnexpectedResponse)
    assert (caught.status, caught.url) == (307, URL)
    for part in (URL, "307", "redirect to https://elsewhere.test/", "REFLEXIO_API_URL"):
        assert part in str(caught)


@pytest.mark.parametrize("status", [101, 304, 600, 999])
def test_other_statuses_are_unexpected_responses(status: int) -> None:
    caught = error_of(status, b"")
    assert isinstance(caught, UnexpectedResponse)
    assert f"{status}, a status that this API never sends" in str(caught)


def test_the_fields_that_an_update_of_the_configuration_has_wrong_are_named() -> None:
    detail = {
        "error": "Invalid partial config",
        "hint": "Fetch the full config",
        "validation_errors": [
            {"type": "extra_forbidden", "loc": ["moon"], "msg": "Extra inputs are not permitted"}
        ],
    }
    assert error(422, {"detail": detail}).server_message == (
        "Invalid partial config; moon: Extra inputs are not permitted; Fetch the full config"
    )
