"""Calls go through the proxy of the option, else of the environment. No message shows its password."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    APIStatusError,
    APITimeout,
    AsyncReflectClient,
    AsyncReflexioClient,
    ConfigurationError,
    RetryPolicy,
    ServerError,
)
from reflexio_async._engine.proxy import proxy_for
from tests.hang import until
from tests.transport.certificates import Authority
from tests.transport.forward_proxy import forward_proxy
from tests.transport.held_clock import HeldClock
from tests.transport.servers import (
    TURNS,
    WHOAMI,
    closed_port,
    loop_errors_ignored,
    raw_server,
    reply_with,
    sequence,
)

if TYPE_CHECKING:
    from pathlib import Path

ONCE = RetryPolicy(max_attempts=1)
HTTP = "http://memory.internal:8061"
HTTPS = "https://memory.internal:8443"
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
NO_CREDENTIALS = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
PASSWORD = "pass-SECRET-2"
AUTHORITY = Authority()


def set_proxy(how: str, url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Sets the proxy by the option or by a variable of the environment; returns options."""
    if how == "option":
        return {"proxy": url}
    monkeypatch.setenv(how, url)
    return {}


# --- it carries calls


@pytest.mark.parametrize("how", ["option", "HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_an_http_call_is_forwarded(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        forward_proxy(server.url) as proxy,
        AsyncReflexioClient("t", HTTP, retry=ONCE, **set_proxy(how, proxy.url, monkeypatch)) as client,
    ):
        assert (await client.whoami()).org_id == "org"
        await client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
    assert proxy.asked == [f"GET {HTTP}/api/whoami", f"POST {HTTP}/api/publish_interaction"]
    assert [request.headers["host"] for request in server.arrived] == ["memory.internal:8061"] * 2
    assert [request.headers["authorization"] for request in server.arrived] == ["Bearer t"] * 2


@pytest.mark.parametrize("how", ["option", "HTTPS_PROXY", "https_proxy", "all_proxy"])
async def test_an_https_call_goes_through_a_tunnel(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI)), tls=AUTHORITY.server()) as server,
        forward_proxy(server.url) as proxy,
        AsyncReflexioClient(
            "t", HTTPS, ssl=AUTHORITY.client(), retry=ONCE, **set_proxy(how, proxy.url, monkeypatch)
        ) as client,
    ):
        for _ in range(3):
            assert (await client.whoami()).org_id == "org"
    assert proxy.asked == ["CONNECT memory.internal:8443"]
    assert server.connections == 1


async def test_reflect_uses_the_proxy_too() -> None:
    async with (
        raw_server(sequence(then=reply_with({"id": "t"}, 404))) as server,
        forward_proxy(server.url) as proxy,
        AsyncReflectClient(base_url="http://reflect.internal", proxy=proxy.url, retry=ONCE) as client,
    ):
        with pytest.raises(APIStatusError, match="404"):
            await client.get_trace("t")
    assert [asked.split("/v1")[0].split("/api")[0] for asked in proxy.asked] == [
        "GET http://reflect.internal"
    ]


async def test_a_proxy_may_be_asked_over_tls() -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        forward_proxy(server.url, tls=AUTHORITY.server()) as proxy,
        AsyncReflexioClient(
            url_endpoint=HTTP, proxy=f"https://127.0.0.1:{proxy.port}", ssl=AUTHORITY.client(), retry=ONCE
        ) as client,
    ):
        await client.whoami()
    assert proxy.asked == [f"GET {HTTP}/api/whoami"]


@pytest.mark.parametrize("base", [HTTP, HTTPS])
async def test_a_proxy_gets_the_credentials_of_its_url_and_the_server_does_not(base: str) -> None:
    tls = AUTHORITY.server() if base == HTTPS else None
    async with (
        raw_server(sequence(then=reply_with(WHOAMI)), tls=tls) as server,
        forward_proxy(server.url) as proxy,
    ):
        url = f"http://us%40er:p%3A%2Fw@127.0.0.1:{proxy.port}"
        async with AsyncReflexioClient(
            url_endpoint=base, proxy=url, ssl=AUTHORITY.client(), retry=ONCE
        ) as client:
            await client.whoami()
            await client.whoami()
    assert set(proxy.credentials) == {"us@er:p:/w"}
    assert all("proxy-authorization" not in request.headers for request in server.arrived)


async def test_a_proxy_may_be_written_without_its_scheme() -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        forward_proxy(server.url) as proxy,
        AsyncReflexioClient(url_endpoint=HTTP, proxy=f"127.0.0.1:{proxy.port}", retry=ONCE) as client,
    ):
        await client.whoami()
    assert len(proxy.asked) == 1


# --- when the environment's proxy is used


@pytest.mark.parametrize(
    "base",
    [
        "http://127.0.0.1:8061",
        "http://127.8.8.8",
        "http://localhost:8061",
        "http://LOCALHOST",
        "http://localhost.",
        "http://server.localhost",
        "http://[::1]:8061",
        "http://[::ffff:127.0.0.1]",
        "http://0.0.0.0:8061",
        "https://127.0.0.1",
    ],
)
def test_this_machine_is_never_reached_through_the_environments_proxy(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy:1")
    assert proxy_for(base, None, trust_env=True) is None


def test_the_option_is_for_this_machine_too() -> None:
    proxy = proxy_for("http://127.0.0.1:8061", "http://proxy:1", trust_env=True)
    assert proxy is not None
    assert proxy.name == "http://proxy:1"


@pytest.mark.parametrize(
    ("exceptions", "base", "is_used"),
    [
        ("memory.internal", HTTP, False),
        ("other,memory.internal", HTTP, False),
        (".internal", HTTP, False),
        ("internal", HTTP, False),
        ("*", HTTP, False),
        ("memory.internal:8061", HTTP, False),
        ("memory.internal:9", HTTP, True),
        ("emory.internal", HTTP, True),
        ("other", HTTP, True),
        ("10.0.0.5", "http://10.0.0.5:8061", False),
    ],
)
def test_no_proxy_names_hosts_that_are_reached_without(
    exceptions: str, base: str, monkeypatch: pytest.MonkeyPatch, *, is_used: bool
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (proxy_for(base, None, trust_env=True) is not None) == is_used


def test_each_scheme_has_its_own_proxy_and_all_is_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    monkeypatch.setenv("ALL_PROXY", "http://proxy:2")
    names = [getattr(proxy_for(base, None, trust_env=True), "name", None) for base in (HTTP, HTTPS)]
    assert names == ["http://proxy:1", "http://proxy:2"]


def test_the_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", "*")
    proxy = proxy_for(HTTP, "http://proxy:2", trust_env=True)
    assert proxy is not None
    assert proxy.name == "http://proxy:2"


async def test_without_trust_env_the_environments_proxy_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with raw_server(sequence(then=reply_with(WHOAMI))) as server, forward_proxy(server.url) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with AsyncReflexioClient(
            url_endpoint="http://no-such-host.invalid", trust_env=False, retry=ONCE
        ) as client:
            with pytest.raises(APIConnectionError, match=r"cannot connect to http://no-such-host\.invalid "):
                await client.whoami()
    assert proxy.asked == []


async def test_the_environment_is_read_when_the_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(sequence(then=reply_with(WHOAMI))) as server, forward_proxy(server.url) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with AsyncReflexioClient(url_endpoint=HTTP, retry=ONCE) as client:
            monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
            await client.whoami()
    assert len(proxy.asked) == 1


async def test_a_netrc_file_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login ana password x\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with raw_server(sequence(then=reply_with(WHOAMI))) as server, forward_proxy(server.url) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        for url in (server.url, HTTP):
            async with AsyncReflexioClient("t", url, retry=ONCE) as client:
                await client.whoami()
    assert [request.headers["authorization"] for request in server.arrived] == ["Bearer t"] * 2
    assert proxy.credentials == []


# --- a URL that cannot be used


@pytest.mark.parametrize("how", ["option", "HTTP_PROXY"])
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("socks5://ana:SECRET@proxy:1080", "socks5:// is not supported"),
        ("socks5h://proxy", "socks5h:// is not supported"),
        ("ftp://proxy", "ftp:// is not supported"),
        ("http://", "such as http://"),
        ("http://:3128", "such as http://"),
        ("http://ana:SECRET@", "such as http://"),
        ("http://ana:SECRET@proxy:port", "such as http://"),
        ("http://ana:SECRET@proxy:99999", "such as http://"),
        ("http://ana:SECRET@proxy:0", "such as http://"),
        ("http://ana:SECRET@[::1", "such as http://"),
        ("http://ana:SECRET@pro xy", "such as http://"),
        ("http://ana:SECRET%E2%82%AC@proxy", "such as http://"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_before_any_io(
    how: str, url: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncReflexioClient(url_endpoint=HTTP, **set_proxy(how, url, monkeypatch))
    assert says in str(caught.value)
    assert how.removeprefix("option") in str(caught.value)
    assert "proxy" in str(caught.value)
    assert "SECRET" not in repr(caught.value)


def test_an_empty_proxy_is_no_proxy_url() -> None:
    with pytest.raises(ConfigurationError, match="proxy must be a URL"):
        AsyncReflexioClient(url_endpoint=HTTP, proxy="")


# --- a proxy that does not do its work


@pytest.mark.parametrize("base", [HTTP, HTTPS])
async def test_a_proxy_that_is_not_there_is_named_and_nothing_was_sent(base: str) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    async with AsyncReflexioClient(url_endpoint=base, proxy=url, retry=ONCE) as client:
        with pytest.raises(APIConnectionError, match=f"cannot connect to the proxy {url}") as caught:
            await client.upgrade_profiles()
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("base", [HTTP, HTTPS])
async def test_a_proxy_whose_name_is_not_known_is_named(base: str) -> None:
    url = "http://no-such-proxy.invalid:3128"
    async with AsyncReflexioClient(url_endpoint=base, proxy=url, retry=ONCE) as client:
        with pytest.raises(APIConnectionError, match=f"cannot connect to the proxy {url}") as caught:
            await client.upgrade_profiles()
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize(("reply", "status"), [(BAD_GATEWAY, 502), (NO_CREDENTIALS, 407)])
async def test_a_proxy_that_refuses_a_tunnel_is_named_and_nothing_was_sent(reply: bytes, status: int) -> None:
    async with (
        forward_proxy(HTTP, answer=reply) as proxy,
        AsyncReflexioClient(url_endpoint=HTTPS, proxy=proxy.url, retry=ONCE) as client,
    ):
        with pytest.raises(APIConnectionError) as caught:
            await client.upgrade_profiles()
    assert f"the proxy {proxy.url} refused to connect to {HTTPS} (status {status})" in str(caught.value)
    assert not caught.value.outcome_unknown


async def test_a_proxy_that_hangs_up_before_the_tunnel_is_there_is_named_and_nothing_was_sent() -> None:
    async with (
        forward_proxy(HTTP, answer=b"") as proxy,
        AsyncReflexioClient(url_endpoint=HTTPS, proxy=proxy.url, retry=ONCE) as client,
    ):
        with pytest.raises(APIConnectionError, match=f"the proxy {proxy.url} broke") as caught:
            await client.upgrade_profiles()
    assert not caught.value.outcome_unknown


async def test_a_proxy_that_hangs_before_the_tunnel_is_there_is_named_and_nothing_was_sent() -> None:
    async with (
        forward_proxy(HTTP, hangs=True) as proxy,
        AsyncReflexioClient(url_endpoint=HTTPS, proxy=proxy.url, connect_timeout=0.1, retry=ONCE) as client,
    ):
        with pytest.raises(APITimeout) as caught:
            await client.upgrade_profiles()
    assert f"{HTTPS} was not connected to through the proxy {proxy.url}" in str(caught.value)
    assert not caught.value.outcome_unknown


async def test_a_proxy_that_answers_with_an_error_in_the_servers_place_is_named() -> None:
    async with (
        forward_proxy(HTTP, answer=BAD_GATEWAY) as proxy,
        AsyncReflexioClient(url_endpoint=HTTP, proxy=proxy.url, retry=ONCE) as client,
    ):
        with pytest.raises(ServerError, match=f"502.*the server, or the proxy {proxy.url}"):
            await client.whoami()


async def test_a_proxy_that_asks_for_credentials_is_named() -> None:
    async with (
        forward_proxy(HTTP, answer=NO_CREDENTIALS) as proxy,
        AsyncReflexioClient(url_endpoint=HTTP, proxy=proxy.url) as client,
    ):
        with pytest.raises(
            APIStatusError, match=f"407.*the proxy {proxy.url} asks for credentials"
        ) as caught:
            await client.upgrade_profiles()
    assert not caught.value.outcome_unknown
    assert len(proxy.asked) == 1


async def test_a_proxy_that_takes_the_request_and_hangs_is_named() -> None:
    """The request is in its hands: the outcome is not known."""
    clock = HeldClock()
    async with (
        forward_proxy(HTTP, hangs=True) as proxy,
        AsyncReflexioClient(url_endpoint=HTTP, proxy=proxy.url, timeout=0.1, clock=clock) as client,
    ):
        call = asyncio.create_task(client.upgrade_profiles())
        await until(lambda: proxy.asked)
        clock.expire()
        with pytest.raises(APITimeout) as caught:
            await call
    text = f"waited 0.1 s for a response from {HTTP} through the proxy {proxy.url}"
    assert text in str(caught.value)
    assert caught.value.outcome_unknown


async def test_a_certificate_that_is_not_trusted_is_the_servers_when_it_is_behind_the_tunnel() -> None:
    with loop_errors_ignored():  # the handshake fails at the server too
        async with (
            raw_server(sequence(), tls=AUTHORITY.server()) as server,
            forward_proxy(server.url) as proxy,
            AsyncReflexioClient(url_endpoint=HTTPS, proxy=proxy.url, retry=ONCE) as client,
        ):
            with pytest.raises(APIConnectionError, match=f"the certificate of {HTTPS}") as caught:
                await client.upgrade_profiles()
    assert not caught.value.outcome_unknown


async def test_a_certificate_that_is_not_trusted_is_the_proxys_when_it_is_not() -> None:
    with loop_errors_ignored():  # the handshake fails at the server too
        async with forward_proxy(HTTP, tls=AUTHORITY.server()) as proxy:
            url = f"https://127.0.0.1:{proxy.port}"
            async with AsyncReflexioClient(url_endpoint=HTTP, proxy=url, retry=ONCE) as client:
                with pytest.raises(APIConnectionError, match=f"the certificate of the proxy {url}"):
                    await client.upgrade_profiles()


# --- its password


@pytest.mark.parametrize("base", [HTTP, HTTPS])
@pytest.mark.parametrize("how", ["option", "ALL_PROXY"])
@pytest.mark.parametrize(
    "reply",
    [None, BAD_GATEWAY, NO_CREDENTIALS, b"", b"nonsense\r\n\r\n"],
    ids=["not there", "502", "407", "hangs up", "no HTTP"],
)
async def test_no_message_log_or_repr_shows_the_password_of_a_proxy(
    reply: bytes | None,
    how: str,
    base: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with forward_proxy(HTTP, answer=reply) as proxy:
        port = closed_port() if reply is None else proxy.port
        url = f"http://ana:{PASSWORD}@127.0.0.1:{port}"
        options = set_proxy(how, url, monkeypatch)
        async with AsyncReflexioClient(url_endpoint=base, **options, retry=ONCE) as client:
            with pytest.raises((APIConnectionError, APIStatusError)) as caught:
                await client.whoami()
            shown = [client, client._engine, client._engine.settings, client._engine.caller.http]
    error = caught.value
    assert error.__cause__ is error.__context__ is None
    texts = [*map(repr, shown), repr(error), str(error), repr(vars(error)), caplog.text]
    assert [text for text in texts if PASSWORD in text] == []
