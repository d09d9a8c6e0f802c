"""The options of a client are checked before any I/O. The error has the name of the option."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from reflexio_async import AsyncReflectClient, AsyncReflexioClient, ConfigurationError, RetryPolicy
from reflexio_async._engine.option_checks import check_url
from reflexio_async._engine.settings import DEFAULT_USER_AGENT, ClientOptions, Settings
from reflexio_async.reflexio.service import DEFAULT_URL, api_key_from, base_url_from

URL = "http://127.0.0.1:8061"
NO_SECONDS: list[Any] = [0, -1, -0.001, math.nan, math.inf, -math.inf, 10**400, True, False, "5", [5], b"5"]
NO_COUNTS: list[Any] = [0, -1, 1.5, 2.0, math.nan, True, "5", None]


def _with_url(options: dict[str, Any]) -> dict[str, Any]:
    return {"url_endpoint": URL, **options}


def error_of(**options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        AsyncReflexioClient(**_with_url(options))
    return str(caught.value)


def shown(value: object) -> str:
    return f"{value!r:.20}"


# --- durations and counts


@pytest.mark.parametrize("value", [*NO_SECONDS, None], ids=shown)
@pytest.mark.parametrize("name", ["timeout", "connect_timeout"])
def test_a_timeout_is_a_positive_number_of_seconds(name: str, value: Any) -> None:
    assert error_of(**{name: value}).startswith(name)


@pytest.mark.parametrize("value", NO_SECONDS, ids=shown)
@pytest.mark.parametrize("name", ["poll_interval", "wait_timeout"])
def test_options_of_waiting_are_positive_numbers_of_seconds_or_none(name: str, value: Any) -> None:
    assert name in error_of(**{name: value})
    AsyncReflexioClient(**_with_url({name: None}))


@pytest.mark.parametrize("value", [value for value in NO_SECONDS if value is False or value != 0], ids=shown)
def test_drain_timeout_is_zero_or_more(value: Any) -> None:
    assert "drain_timeout" in error_of(drain_timeout=value)
    AsyncReflexioClient(url_endpoint=URL, drain_timeout=0)


@pytest.mark.parametrize("value", NO_COUNTS, ids=shown)
@pytest.mark.parametrize("name", ["max_connections", "concurrency", "max_response_bytes"])
def test_counts_are_whole_numbers_of_at_least_one(name: str, value: Any) -> None:
    assert name in error_of(**{name: value})


@pytest.mark.parametrize("value", NO_COUNTS, ids=shown)
def test_max_attempts_is_at_least_one(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"RetryPolicy\.max_attempts"):
        RetryPolicy(max_attempts=value)


@pytest.mark.parametrize("value", [*NO_SECONDS, None], ids=shown)
@pytest.mark.parametrize("name", ["base_delay", "max_delay"])
def test_delays_of_a_retry_policy_are_positive(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"RetryPolicy\.{name}"):
        RetryPolicy(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retry", 3),
        ("retry", RetryPolicy),
        ("raise_on_refusal", "no"),
        ("raise_on_refusal", None),
        ("on_request", 3),
        ("on_retry", "print"),
        ("on_background_error", True),
        ("session", "http://localhost"),
        ("session", object()),
        ("proxy", 3128),
        ("proxy", b"http://proxy"),
        ("ssl", "ca.pem"),
        ("ssl", 1),
        ("headers", [("X-Team", "blue")]),
        ("headers", None),
        ("trust_env", "yes"),
        ("trust_env", None),
    ],
    ids=shown,
)
def test_other_options_must_have_their_type(name: str, value: Any) -> None:
    assert name in error_of(**{name: value})


def test_seconds_may_be_whole_numbers() -> None:
    client = AsyncReflexioClient(url_endpoint=URL, timeout=5, poll_interval=1, wait_timeout=60)
    assert client._engine.settings.timeout == 5


def test_configuration_errors_are_value_errors_too() -> None:
    assert issubclass(ConfigurationError, ValueError)


# --- the URL


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://localhost:8061", "http://localhost:8061"),
        ("https://reflexio.example/", "https://reflexio.example"),
        ("https://reflexio.example/api/v2/", "https://reflexio.example/api/v2"),
        ("  http://localhost  ", "http://localhost"),
        ("HTTP://Example.Test", "HTTP://Example.Test"),
        ("http://[::1]:8061", "http://[::1]:8061"),
        ("http://192.168.0.7", "http://192.168.0.7"),
        ("http://reflexio.example.", "http://reflexio.example."),
    ],
)
def test_a_url_loses_its_last_slash_only(given: str, kept: str) -> None:
    assert base_url_from(given) == kept


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:8061", "must start with http"),
        ("localhost", "must start with http"),
        ("//localhost", "must start with http"),
        ("ftp://localhost", "must start with http"),
        ("file:///etc/passwd", "must start with http"),
        ("http://", "no usable host"),
        ("http:///api", "no usable host"),
        ("http://:8061", "no usable host"),
        ("http://local host", "no usable host"),
        ("http://localhost/a b", "no usable host"),
        ("http://localhost\n", "no usable host"),
        ("http:\\\\localhost", "no usable host"),
        ("http://localhost:port", "no usable host"),
        ("http://localhost:0", "no usable host"),
        ("http://localhost:99999", "no usable host"),
        ("http://localhost:-1", "no usable host"),
        ("http://[::1", "no usable host"),
        ("http://a..b", "no usable host"),
        (f"http://{'a' * 64}.example", "no usable host"),
        ("http://localhost?x=1", "query"),
        ("http://localhost/#top", "fragment"),
        ("http://ana:SECRET@localhost", "credentials"),
        ("http://ana@localhost", "credentials"),
    ],
)
def test_the_error_of_a_bad_url_says_what_is_wrong(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match="url_endpoint") as caught:
        check_url("url_endpoint", url)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://ana:SECRET@localhost",
        "http://ana:SEC@SECRET@localhost",
        "http://ana:SECRET/SECRET@localhost",
        "http://SECRET@localhost:99999",
        "ftp://ana:SECRET@localhost",
        "ana:SECRET@localhost:8061",
        "ana:SECRET@localhost/api",
        "ana:SEC//SECRET@localhost",
        "SECRET@localhost",
        "HTTP://ana:SECRET\nSECRET@localhost",
    ],
)
def test_a_password_in_a_url_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_url("url_endpoint", url)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("url", [None, 3, b"http://localhost", ["http://localhost"]], ids=repr)
def test_a_url_must_be_text(url: Any) -> None:
    assert "url_endpoint" in error_of(url_endpoint=url)


# --- the environment


def test_the_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert base_url_from("") == DEFAULT_URL.rstrip("/")
    monkeypatch.setenv("REFLEXIO_API_URL", "http://second")
    monkeypatch.setenv("REFLEXIO_URL", "http://third")
    assert base_url_from("http://first") == "http://first"
    assert base_url_from("") == "http://second"
    monkeypatch.setenv("REFLEXIO_API_URL", " ")
    assert base_url_from(" ") == "http://third"


@pytest.mark.parametrize("name", ["REFLEXIO_API_URL", "REFLEXIO_URL"])
def test_the_error_of_a_bad_url_in_the_environment_names_the_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "localhost:8061")
    with pytest.raises(ConfigurationError, match=name):
        base_url_from("")


def test_a_client_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFLEXIO_API_URL", "http://from-the-environment/")
    assert repr(AsyncReflexioClient()) == "AsyncReflexioClient('http://from-the-environment')"


def test_the_token_comes_from_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert api_key_from(" padded\n").get_secret_value() == "padded"
    assert not api_key_from("")
    monkeypatch.setenv("REFLEXIO_API_KEY", "second")
    assert api_key_from("first").get_secret_value() == "first"
    assert api_key_from("").get_secret_value() == "second"


@pytest.mark.parametrize(
    "key", ["SECRET\nKEY", "SECRET\r\nX-Injected: 1", "SÉCRET", "“SECRET”", "SECRET\0"], ids=repr
)
def test_a_token_that_cannot_be_a_header_is_refused_and_not_shown(key: str) -> None:
    message = error_of(api_key=key)
    assert "api_key" in message
    assert "CRET" not in message


@pytest.mark.parametrize("key", [None, 3, b"t"], ids=repr)
def test_a_token_must_be_text(key: Any) -> None:
    assert "api_key" in error_of(api_key=key)


# --- the User-Agent


@pytest.mark.parametrize(
    "agent", ["robotics-client/1", "my-bot", "Web Crawler", "SPIDER", "a scraper", "libcurl/8", "Wget"]
)
def test_a_user_agent_that_the_server_would_refuse_is_an_error(agent: str) -> None:
    message = error_of(user_agent=agent)
    assert "user_agent" in message
    assert "403" in message


@pytest.mark.parametrize("agent", ["", "  ", "two\nlines", "ünicode", "a\x00b", None, 3], ids=repr)
def test_a_user_agent_must_be_one_line_of_ascii(agent: Any) -> None:
    assert "user_agent" in error_of(user_agent=agent)


def test_the_default_user_agent_has_the_version() -> None:
    from reflexio_async import __version__  # noqa: PLC0415

    assert f"reflexio-async/{__version__}" == DEFAULT_USER_AGENT


# --- headers of one's own


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "AUTHORIZATION",
        "host",
        "Content-Type",
        "content-length",
        "Content-Encoding",
        "Transfer-Encoding",
        "Accept-Encoding",
        "Proxy-Authorization",
    ],
)
def test_headers_that_the_client_sends_itself_cannot_be_set(name: str) -> None:
    message = error_of(headers={name: "SECRET"})
    assert message == f"headers must not set {name}; the client does"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X Team", "SECRET"),
        ("", "SECRET"),
        ("X-Team:", "SECRET"),
        ("X-Téam", "SECRET"),
        ("X-Team", "SECRET\r\nX-Injected: 1"),
        ("X-Team", "SÉCRET"),
        ("X-Team", "SECRET\0"),
        ("X-Team", 3),
        (3, "SECRET"),
        (b"X-Team", "SECRET"),
    ],
    ids=repr,
)
def test_headers_that_cannot_be_sent_are_refused_without_being_shown(name: Any, value: Any) -> None:
    message = error_of(headers={name: value})
    assert message.startswith("headers")
    assert "CRET" not in message


def test_a_user_agent_among_the_headers_is_checked_too() -> None:
    assert "403" in error_of(headers={"User-Agent": "my-bot"})


def test_what_may_hold_secrets_is_not_shown() -> None:
    settings = Settings(
        base_url=URL, proxy="http://ana:SECRET@proxy", headers={"X-Api-Key": "SECRET"}, session=None
    )
    assert "SECRET" not in repr(settings)


# --- value objects


def test_settings_cannot_be_changed() -> None:
    settings = Settings(base_url=URL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.timeout = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_a_view_changes_the_given_options_only() -> None:
    view = AsyncReflexioClient(url_endpoint=URL, timeout=5, poll_interval=2.0).with_options(
        poll_interval=None
    )
    assert (view._engine.settings.timeout, view._engine.settings.poll_interval) == (5, None)


@pytest.mark.parametrize("make", [AsyncReflexioClient, AsyncReflectClient], ids=lambda make: make.__name__)
def test_the_error_of_an_unknown_option_suggests_the_right_one(make: Any) -> None:
    for used in (make, make().with_options):
        with pytest.raises(
            ConfigurationError, match="there is no option pol_interval; did you mean poll_int"
        ):
            used(pol_interval=1)


@pytest.mark.parametrize(
    ("make", "wrong", "right"),
    [
        (AsyncReflexioClient, "base_url", "url_endpoint"),
        (AsyncReflexioClient, "url", "url_endpoint"),
        (AsyncReflexioClient, "token", "api_key"),
        (AsyncReflexioClient, "url_endpont", "url_endpoint"),
        (AsyncReflexioClient, "apikey", "api_key"),
        (AsyncReflexioClient, "timeouts", "timeout"),
        (AsyncReflexioClient, "max_retries", "retry"),
        (AsyncReflectClient, "url_endpoint", "base_url"),
        (AsyncReflectClient, "projectid", "project_id"),
        (AsyncReflectClient, "reflect_api_key", "api_key"),
    ],
)
def test_the_name_that_another_client_has_for_an_option_gets_a_hint(
    make: Any, wrong: str, right: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"there is no option {wrong}; did you mean {right}\\?$"):
        make(**{wrong: URL})


@dataclasses.dataclass
class Phases:
    """What an ``httpx.Timeout`` has."""

    connect: float | None
    read: float | None
    write: float | None
    pool: float | None


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(Phases(5, 20, 10, 5), 20.0), (Phases(5, 5, 5, 5), 5.0), (Phases(5, None, 5, 5), 1e9)],
)
def test_of_a_timeout_with_phases_the_longest_counts(given: Phases, seconds: float) -> None:
    for client in (
        AsyncReflexioClient(url_endpoint=URL, timeout=given),
        AsyncReflectClient(base_url=URL, timeout=given),
        AsyncReflexioClient(url_endpoint=URL).with_options(timeout=given),
    ):
        assert client._engine.settings.timeout == seconds


def test_a_phase_that_is_no_number_is_refused() -> None:
    wrong: Any = Phases(5, -1, -1, -1)
    wrong.connect = -1
    assert error_of(timeout=wrong) == "timeout must be more than zero seconds, not -1"


@pytest.mark.parametrize("make", [AsyncReflexioClient, AsyncReflectClient], ids=lambda make: make.__name__)
@pytest.mark.parametrize("option", ["max_connections", "clock", "api_key"])
def test_a_view_refuses_options_that_only_a_client_has_and_says_where_they_belong(
    make: Any, option: str
) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"^{option} belongs to the whole client: pass it to {make.__name__}\("
    ):
        make().with_options(**{option: 3})


def test_every_option_is_a_setting_of_the_same_type() -> None:
    options = {name: written.__forward_arg__ for name, written in ClientOptions.__annotations__.items()}
    settings = {name: str(written) for name, written in Settings.__annotations__.items()}
    assert options == {name: settings[name] for name in settings if name not in ("base_url", "timeout")}


def test_a_url_in_place_of_the_key_is_an_error() -> None:
    """The key is the first argument. A URL there would be sent to the hosted service as a token."""
    with pytest.raises(ConfigurationError, match="did you mean url_endpoint"):
        AsyncReflexioClient("http://localhost:8061")
