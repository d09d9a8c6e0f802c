"""Whatever bytes a server sends, every call ends with a value or with an error of ours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reflexio_async import AsyncReflectClient, AsyncReflexioClient, ReflexioError, RetryPolicy
from tests.transport.servers import TURNS, RawReply, raw_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ONCE = RetryPolicy(max_attempts=1)
LONGEST = 4001  # characters of a message

statuses = [*[200] * 6, 202, 204, 301, 400, 401, 404, 422, 429, 429, 500, 503, 599]
usual_lines = st.sampled_from(statuses).map(lambda status: b"HTTP/1.1 %d Reason" % status)
strange_lines = st.sampled_from(
    [
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 101 Switching Protocols",
        b"HTTP/1.0 200 OK",
        b"HTTP/9.9 200 OK",
        b"HTTP/1.1 99999999999999999999 X",
        b"HTTP/1.1 -1 X",
        b"HTTP/1.1",
        b"ICY 200 OK",
        b"\xff\x00",
        b"",
    ]
)
first_lines = st.integers(0, 7).flatmap(lambda number: usual_lines if number else strange_lines)
numbers = st.one_of(
    st.integers(-1, 10**12).map(lambda number: b"%d" % number),
    st.sampled_from([b"nan", b"1e999", b"9" * 400, b"soon", b"", b"0x10", b"1, 2", b"\xff"]),
)
headers = st.one_of(
    st.tuples(
        st.sampled_from(
            [b"Retry-After", b"X-RateLimit-Remaining", b"X-RateLimit-Reset", b"Content-Length", b"Date"]
        ),
        numbers,
    ),
    st.tuples(
        st.sampled_from(
            [b"Content-Encoding", b"Transfer-Encoding", b"Connection", b"Content-Type", b"Location"]
        ),
        st.sampled_from(
            [
                b"gzip",
                b"deflate",
                b"br",
                b"chunked",
                b"identity, chunked",
                b"close",
                b"upgrade",
                b"",
                b"text/html; charset=no-such",
                b"application/json",
                b"http://[",
                b"//\x7f",
                b"\xff\xfe",
            ]
        ),
    ),
    st.tuples(st.sampled_from([b"Set-Cookie", b"X", b"", b"A B", b"\x00"]), st.binary(max_size=20)),
    st.tuples(st.just(b"X-Long"), st.integers(0, 20_000).map(lambda size: b"x" * size)),
)
bodies = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b'{"success":true,"org_id":"o"}',
            b'{"success":false,"message":"no"}',
            b"{}",
            b"null",
            b"[" * 10_000,
            b'{"error":"Rate limit exceeded: 5 per 9999999 day"}',
            b'{"error":"Rate limit exceeded: 0 per 0 second"}',
            b'{"detail":' + b"9" * 5000 + b"}",
            b"\x1f\x8b\x08\x00broken",
            b"5\r\n{}",
            b"ffffffffffffffffffff\r\n",
            b"-1\r\n{}\r\n0\r\n\r\n",
            b"2\r\n{}\r\n0\r\n\r\n",
        ]
    ),
)


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """A response that is almost HTTP."""
    body = draw(bodies)
    lines = [draw(first_lines), *(b": ".join(pair) for pair in draw(st.lists(headers, max_size=2)))]
    if draw(st.integers(0, 7)):
        lines.append(b"Content-Length: %d" % len(body))
    raw = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"])).join([*lines, b"", b""]) + body
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 7)) == 0 else raw


CALLS: dict[str, Callable[[AsyncReflexioClient, AsyncReflectClient], Awaitable[Any]]] = {
    "a read": lambda client, _: client.whoami(),
    "a search": lambda client, _: client.search_user_profiles(user_id="u", query="tea"),
    "a publish": lambda client, _: client.publish_interaction("u", TURNS, session_id="s"),
    "a start": lambda client, _: client.rerun_profile_generation(
        user_id="u", wait_for_response=True, wait_timeout=1
    ),
    "a login": lambda client, _: client.login("ana@example.com", "secret of ana"),
    "a list": lambda _, reflect: reflect.list_traces(),
    "a trace": lambda _, reflect: reflect.create_trace(task="t", trajectory="User: hello"),
}


async def play(call: str, raw: bytes) -> None:
    async with raw_server(lambda _: RawReply(raw, close=True)) as server:
        options: dict[str, Any] = {"retry": ONCE, "timeout": 2.0, "drain_timeout": 0.0, "outage_timeout": 0.0}
        async with (
            AsyncReflexioClient(url_endpoint=server.url, **options) as client,
            AsyncReflectClient(base_url=server.url, api_key="key of reflect", **options) as reflect,
        ):
            try:
                await CALLS[call](client, reflect)
            except ReflexioError as error:
                message = str(error)
                assert message.isprintable()
                assert len(message) <= LONGEST


@given(call=st.sampled_from(sorted(CALLS)), raw=replies())
@example(call="a publish", raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}")
@example(call="a read", raw=b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_a_value_or_an_error_of_ours(call: str, raw: bytes) -> None:
    asyncio.run(play(call, raw))
