"""TLS: whom a client trusts, and what it says when it does not, or when one side speaks no TLS."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from reflexio_async import APIConnectionError, APITimeout, AsyncReflexioClient, BadRequest, RetryPolicy
from tests.transport.certificates import Authority
from tests.transport.servers import HANG_UP, WHOAMI, loop_errors_ignored, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from reflexio_async.sandbox import VirtualClock

ONCE = RetryPolicy(max_attempts=1)
AUTHORITY = Authority()
HINT = "for a CA of your own pass ssl=ssl.create_default_context(cafile=…), or set SSL_CERT_FILE"
PROGRAM = """
import asyncio, sys
from reflexio_async import AsyncReflexioClient

async def main():
    async with AsyncReflexioClient(url_endpoint=sys.argv[1]) as client:
        print((await client.whoami()).org_id)

asyncio.run(main())
"""


# --- trust


async def test_a_ca_of_ones_own_is_trusted_by_the_option_ssl() -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI)), tls=AUTHORITY.server()) as server,
        AsyncReflexioClient(url_endpoint=server.url, ssl=AUTHORITY.client()) as client,
    ):
        for _ in range(5):
            assert (await client.whoami()).org_id == "org"
    assert server.connections == 1


async def test_a_ca_of_ones_own_is_trusted_by_ssl_cert_file(tmp_path: Path) -> None:
    AUTHORITY.write(tmp_path / "ca.pem")
    async with raw_server(sequence(then=reply_with(WHOAMI)), tls=AUTHORITY.server()) as server:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, server.url),
            env={**os.environ, "SSL_CERT_FILE": str(tmp_path / "ca.pem")},
            stdout=subprocess.PIPE,
        )
        output, _ = await program.communicate()
    assert output == b"org\n"


async def test_certificates_can_be_left_unchecked() -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI)), tls=AUTHORITY.server()) as server,
        AsyncReflexioClient(url_endpoint=server.url, ssl=False) as client,
    ):
        assert (await client.whoami()).org_id == "org"


async def test_an_unknown_ca_is_an_error_that_says_how_to_trust_it() -> None:
    with loop_errors_ignored():  # the handshake fails at the server too
        async with (
            raw_server(sequence(), tls=AUTHORITY.server()) as server,
            AsyncReflexioClient(url_endpoint=server.url, retry=ONCE) as client,
        ):
            with pytest.raises(APIConnectionError) as caught:
                await client.upgrade_profiles()
    assert f"the certificate of {server.url} is not valid (unable to get local issuer" in str(caught.value)
    assert HINT in str(caught.value)
    assert not caught.value.outcome_unknown


async def test_a_certificate_for_another_host_is_an_error_that_names_the_host() -> None:
    with loop_errors_ignored():  # the handshake fails at the server too
        async with (
            raw_server(sequence(), tls=AUTHORITY.server("other.internal")) as server,
            AsyncReflexioClient(url_endpoint=server.url, ssl=AUTHORITY.client(), retry=ONCE) as client,
        ):
            with pytest.raises(APIConnectionError, match=r"is not valid .*127\.0\.0\.1") as caught:
                await client.upgrade_profiles()
    assert HINT not in str(caught.value)
    assert not caught.value.outcome_unknown


async def test_an_expired_certificate_is_an_error_that_says_so() -> None:
    expired = AUTHORITY.server("127.0.0.1", until=datetime(2020, 1, 1, tzinfo=UTC))
    with loop_errors_ignored():  # the handshake fails at the server too
        async with (
            raw_server(sequence(), tls=expired) as server,
            AsyncReflexioClient(url_endpoint=server.url, ssl=AUTHORITY.client(), retry=ONCE) as client,
        ):
            with pytest.raises(APIConnectionError, match=r"is not valid \(certificate has expired\)$"):
                await client.whoami()


# --- one side speaks no TLS


@asynccontextmanager
async def plain_server(reply: bytes) -> AsyncGenerator[str]:
    """Answers whatever comes, as most servers do, and hangs up. Yields its address, without a scheme."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(reply)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"


async def test_https_to_an_http_server_asks_whether_it_is_http() -> None:
    async with (
        plain_server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as address,
        AsyncReflexioClient(url_endpoint=f"https://{address}", retry=ONCE) as client,
    ):
        with pytest.raises(APIConnectionError) as caught:
            await client.upgrade_profiles()
    assert f"cannot connect to https://{address} (TLS: " in str(caught.value)
    assert "is it http:// rather than https://?" in str(caught.value)
    assert not caught.value.outcome_unknown


async def test_http_to_a_server_that_only_speaks_tls_asks_whether_it_is_https() -> None:
    """It hangs up, or sends an alert of TLS."""
    with loop_errors_ignored():  # the handshake fails at the server too
        async with raw_server(sequence(), tls=AUTHORITY.server()) as server:
            url = server.url.replace("https", "http")
            async with AsyncReflexioClient(url_endpoint=url, retry=ONCE) as client:
                with pytest.raises(APIConnectionError, match="is it https:// rather than http://"):
                    await client.whoami()
    async with (
        plain_server(b"\x15\x03\x01\x00\x02\x02\x46") as address,
        AsyncReflexioClient(url_endpoint=f"http://{address}", retry=ONCE) as client,
    ):
        with pytest.raises(APIConnectionError, match="is it https:// rather than http://"):
            await client.whoami()


@pytest.mark.parametrize(
    "page",
    [
        b"<html><center>The plain HTTP request was sent to HTTPS port</center></html>",
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"You're speaking plain HTTP to an SSL-enabled server port.<br />Instead use the HTTPS scheme",
    ],
    ids=["nginx", "Go", "Apache"],
)
async def test_a_400_that_says_https_asks_whether_it_is_https(page: bytes, clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(then=reply_with(page, 400, kind="text/html"))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(BadRequest, match="is it https:// rather than http://"):
            await client.whoami()


async def test_a_server_that_has_answered_before_is_not_asked_whether_it_is_https() -> None:
    async with (
        raw_server(sequence(reply_with(WHOAMI), then=HANG_UP)) as server,
        AsyncReflexioClient(url_endpoint=server.url, retry=ONCE) as client,
    ):
        await client.whoami()
        with pytest.raises(APIConnectionError) as caught:
            await client.whoami()
    assert "https" not in str(caught.value)


# --- time


async def test_connecting_takes_no_longer_than_connect_timeout_and_has_sent_nothing() -> None:
    """A handshake that is never answered is as good as a host that is not there."""
    async with (
        raw_server(sequence()) as server,
        AsyncReflexioClient(
            url_endpoint=server.url.replace("http", "https"), connect_timeout=0.1, retry=ONCE
        ) as client,
    ):
        with pytest.raises(APITimeout, match=r"was not connected to within connect_timeout=0\.1 s") as caught:
            await client.upgrade_profiles()
    assert not caught.value.outcome_unknown


async def test_the_timeout_of_a_call_bounds_connecting_too() -> None:
    async with (
        raw_server(sequence()) as server,
        AsyncReflexioClient(url_endpoint=server.url.replace("http", "https"), timeout=0.1) as client,
    ):
        with pytest.raises(APITimeout, match=r"was connecting to https.* for 0\.1 s") as caught:
            await client.upgrade_profiles()
    assert not caught.value.outcome_unknown
    assert caught.value.attempts == 1


async def test_a_call_is_tried_again_after_a_connection_was_not_made_in_time() -> None:
    """Nothing was sent, whatever the call, so it is safe."""
    connections = 0
    tls = AUTHORITY.server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            with suppress(ConnectionError, EOFError):  # on a busy machine this one, too, is not made in time
                await writer.start_tls(tls)
                await reader.readuntil(b'"only_affected_users":true}')
                writer.write(reply_with({"success": True}).raw)
        else:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with AsyncReflexioClient(
            url_endpoint=url, ssl=AUTHORITY.client(), connect_timeout=0.5
        ) as client:
            assert (await client.upgrade_profiles()).success
    assert connections >= 2  # a busy machine may need more than one that is answered
