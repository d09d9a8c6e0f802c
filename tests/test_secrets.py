"""Only the server sees tokens, passwords and payloads."""

from __future__ import annotations

import asyncio
import logging
import traceback
from base64 import b64encode
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest

from reflexio_async import (
    APIConnectionError,
    AsyncReflexioClient,
    AuthenticationError,
    BackgroundErrorEvent,
    BadRequest,
    InvalidRequest,
    JobFailed,
    PermissionDenied,
    ReflexioError,
    RequestEvent,
    RequestRefused,
    RetryEvent,
    RetryPolicy,
    ServerError,
    UnexpectedResponse,
    UnprocessableRequest,
)
from reflexio_async._engine.auth import Secrets
from reflexio_async._engine.settings import Settings
from reflexio_async.reflexio.models.identity import LoginForm
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.transport.forward_proxy import forward_proxy
from tests.transport.servers import RawReply, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from reflexio_async.sandbox.http.context import RequestContext
    from reflexio_async.sandbox.http.responses import Response

TOKEN = "tok-SECRET-1"
PASSWORD = "pass-SECRET-2"
PAYLOAD = "payload-SECRET-3"
ISSUED = "issued-SECRET-4"
TURNS = [{"role": "user", "content": PAYLOAD}]


class SeenTexts:
    """All texts that others than the server can see: reprs, errors, logs, events."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self._seen: list[str] = []

    def add(self, *things: object) -> None:
        for thing in things:
            self._seen += [repr(thing), str(thing)]
            if isinstance(thing, BaseException):
                self._seen += self._texts_of(thing)

    def _texts_of(self, error: BaseException | None) -> Iterator[str]:
        visited: set[int] = set()
        while error is not None and id(error) not in visited:
            visited.add(id(error))
            yield from traceback.format_exception(error)
            yield from _variables(error)
            yield from (
                f"{error!r} {error} {error.args!r} {vars(error)!r}",
                repr(getattr(error, "__notes__", "")),
            )
            if isinstance(error, RequestRefused):
                yield repr(error.response)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)

    def check(self) -> None:
        for record in self._caplog.records:
            self._seen += [record.getMessage(), repr(record.args), self._caplog.handler.format(record)]
        assert len(self._seen) > 2
        for secret in (TOKEN, PASSWORD, PAYLOAD, ISSUED):
            assert [text for text in self._seen if secret in text] == []


def _variables(error: BaseException) -> Iterator[str]:
    """The variables of every frame of the package in the traceback, as tools such as Sentry show them."""
    for summary in traceback.TracebackException.from_exception(error, capture_locals=True).stack:
        if "/reflexio_async/" in summary.filename or "/aiohttp/" in summary.filename:
            # Texts of the user may be there: the user's own frames have them too.
            yield f"{summary.name}: {summary.locals}".replace(PAYLOAD, "")


@pytest.fixture
def seen(caplog: pytest.LogCaptureFixture) -> Iterator[SeenTexts]:
    caplog.set_level(logging.DEBUG)
    seen = SeenTexts(caplog)
    yield seen
    seen.check()


async def fails_with(seen: SeenTexts, kind: type[ReflexioError], call: Any) -> None:
    with pytest.raises(kind) as caught:
        await call
    seen.add(caught.value)


@dataclass(frozen=True)
class Reworded:
    """Answers truthfully, but with ``text`` for the reason of a rerun that fails."""

    text: str

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:  # noqa: ARG002
        response = await serve()
        return replace(response, body=response.encoded().decode().replace("scripted", self.text))


async def test_the_reason_of_a_job_that_failed_shows_no_secret(seen: SeenTexts, clock: VirtualClock) -> None:
    async with Sandbox(clock=clock, api_key=TOKEN, failing_users={"bad"}) as box:
        box.seed("bad")
        async with AsyncReflexioClient(TOKEN, box.url, clock=clock) as client:
            learning = {"status": "failed", "reason": f"the key {TOKEN} is no key"}
            box.faults.add(faults.status(200, learning), path="/api/learning_status", times=None)
            with pytest.raises(JobFailed, match=r"the key \*\*\* is no key") as failed:
                await client.learning("r1")
            seen.add(failed.value, failed.value.status.raw)
            box.faults.add(Reworded(f"with {TOKEN}"), path="/api/get_operation_status", times=None)
            job = await client.rerun_profile_generation(user_id="bad")
            with pytest.raises(JobFailed) as failed:
                await job
            assert "with ***" in failed.value.failed_users["bad"]
            seen.add(
                failed.value, failed.value.failed_users, failed.value.status.raw, job.status, job.status.raw
            )


async def test_no_call_shows_a_secret(seen: SeenTexts, clock: VirtualClock) -> None:
    events: list[RequestEvent | RetryEvent | BackgroundErrorEvent] = []
    async with Sandbox(clock=clock, api_key=TOKEN, failing_users={"bad"}) as box:
        box.seed("bad")
        async with AsyncReflexioClient(
            TOKEN,
            box.url,
            clock=clock,
            on_request=events.append,
            on_retry=events.append,
            on_background_error=events.append,
        ) as client:
            seen.add(client, client._engine, client._engine.settings, client.with_options(timeout=5))
            seen.add(client._engine.caller.credentials)
            box.faults.add(faults.internal_error())
            receipt = await client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
            assert receipt.request_id is not None
            seen.add(receipt, client.learning(receipt.request_id), client.publish_interaction)
            job = await client.rerun_profile_generation(user_id="bad")
            seen.add(job)
            await fails_with(seen, ReflexioError, job)
            seen.add(job, job.token, job.status, job.timing)
            report = await client.rerun_profiles_many(["u", "bad"])
            seen.add(report, *report.failed)
            box.faults.add(faults.internal_error(), path="/api/manual_profile_generation")
            seen.add(await client.manual_profile_generation(user_id="u"))
    seen.add(*events)
    assert events


async def test_the_error_of_a_refused_token_does_not_show_it(seen: SeenTexts, clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, api_key="another") as box,
        AsyncReflexioClient(TOKEN, box.url, clock=clock) as client,
    ):
        await fails_with(seen, AuthenticationError, client.whoami())


async def test_the_error_of_a_422_does_not_show_the_input(seen: SeenTexts, clock: VirtualClock) -> None:
    echo = [{"type": "t", "loc": ["body", "x"], "msg": "Bad", "input": PAYLOAD, "ctx": {"given": PAYLOAD}}]
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(TOKEN, box.url, clock=clock) as client:
        box.faults.add(faults.status(422, {"detail": echo}))
        publish = client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
        await fails_with(seen, UnprocessableRequest, publish)


async def test_no_error_of_unusable_arguments_shows_them(seen: SeenTexts) -> None:
    client: Any = AsyncReflexioClient(TOKEN, "http://127.0.0.1:1")
    wrong: list[dict[str, Any]] = [
        {"interactions": PAYLOAD},
        {"interactions": [{"content": PAYLOAD, "role": [PAYLOAD]}]},
        {"interactions": [{"content": PAYLOAD + "\ud800"}]},
        {"interactions": TURNS, "user_id": [PAYLOAD]},
        {"interactions": TURNS, "user_id": PAYLOAD + "\ud800"},
        {"interactions": TURNS, "source": PAYLOAD},
        {"interactions": TURNS, "request_id": {PAYLOAD: 1}},
    ]
    for fields in wrong:
        await fails_with(
            seen,
            InvalidRequest,
            client.publish_interaction(**{"user_id": "u", "session_id": "s", **fields}),
        )
    await client.aclose()


async def test_no_error_of_a_broken_connection_shows_a_secret(seen: SeenTexts, clock: VirtualClock) -> None:
    for raw in (b"", b"HTTP/1.1 two hundred\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"):
        async with (
            raw_server(sequence(then=RawReply(raw, close=True))) as server,
            AsyncReflexioClient(TOKEN, server.url, clock=clock, retry=RetryPolicy(max_attempts=1)) as client,
        ):
            await fails_with(seen, APIConnectionError, client.whoami())
            publish = client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
            await fails_with(seen, APIConnectionError, publish)
    async with AsyncReflexioClient(TOKEN, "http://127.0.0.1:1", clock=clock) as client:
        await fails_with(seen, APIConnectionError, client.whoami())


async def test_a_cancelled_call_shows_no_secret(seen: SeenTexts) -> None:
    async with (
        raw_server(sequence()) as server,
        AsyncReflexioClient(TOKEN, server.url) as client,
    ):
        call = asyncio.create_task(client.whoami())
        await server.until_arrived()
        seen.add(call)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
        seen.add(caught.value)


@pytest.mark.parametrize("echoed", [TOKEN, f"Bearer {TOKEN}", f"{{'Authorization': 'Bearer {TOKEN}'}}"])
async def test_no_error_shows_a_token_that_the_server_repeats(
    seen: SeenTexts, clock: VirtualClock, echoed: str
) -> None:
    text = f"not allowed for {echoed}"
    replies: list[tuple[RawReply, type[ReflexioError]]] = [
        (reply_with({"detail": text}, 403), PermissionDenied),
        (reply_with({"detail": {"message": text}}, 403), PermissionDenied),
        (reply_with({"detail": [{"loc": ["header"], "msg": text}]}, 422), UnprocessableRequest),
        (reply_with(text.encode(), 500, kind="text/plain"), ServerError),
        (reply_with(b"", 307, headers={"Location": f"http://elsewhere/?{TOKEN}"}), UnexpectedResponse),
        (reply_with(text.encode()), UnexpectedResponse),
        (reply_with({"success": text}), UnexpectedResponse),
    ]
    for reply, kind in replies:
        async with (
            raw_server(sequence(then=reply)) as server,
            AsyncReflexioClient(TOKEN, server.url, clock=clock, retry=RetryPolicy(max_attempts=1)) as client,
        ):
            await fails_with(seen, kind, client.whoami())


@pytest.mark.parametrize("padding", [*range(430, 510, 8), 16_300, 16_370, 16_384, 20_000])
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
async def test_a_token_at_the_place_where_a_text_is_clipped_is_not_shown_in_part(
    clock: VirtualClock, padding: int, kind: str
) -> None:
    for filler in ("x", " ", f"{TOKEN} "):
        text = filler * (padding // len(filler)) + TOKEN
        body: Any = {"detail": text} if kind == "application/json" else text.encode()
        async with (
            raw_server(sequence(then=reply_with(body, 400, kind=kind))) as server,
            AsyncReflexioClient(TOKEN, server.url, clock=clock) as client,
        ):
            with pytest.raises(BadRequest) as caught:
                await client.whoami()
        assert TOKEN[:6] not in str(caught.value)


async def test_every_credential_of_the_client_is_redacted(clock: VirtualClock) -> None:
    secrets = [
        TOKEN,
        PASSWORD,
        ISSUED,
        "proxy-SECRET-5",
        "header-SECRET-6",
        "reflect-SECRET-7",
        "space d/SECRET-8",
    ]
    text = " ".join([*secrets, *map(quote_plus, secrets), b64encode(b"ana:proxy-SECRET-5").decode()])
    replies = [reply_with({"api_key": ISSUED, "token_type": "bearer"}), reply_with({"detail": text}, 400)]
    async with (
        raw_server(sequence(*replies, then=replies[1])) as server,
        forward_proxy(server.url) as proxy,
        AsyncReflexioClient(
            TOKEN,
            server.url,
            clock=clock,
            proxy=proxy.url.replace("//", "//ana:proxy-SECRET-5@"),
            headers={"X-Gateway": "header-SECRET-6", "X-Other": "space d/SECRET-8"},
            reflect_url=server.url,
            reflect_api_key="reflect-SECRET-7",
        ) as client,
    ):
        await client.login("ana", PASSWORD)
        for call in (client.reflect.health, client.whoami):
            with pytest.raises(BadRequest) as caught:
                await call()
            assert "SECRET" not in str(caught.value)
            assert b64encode(b"ana:proxy-SECRET-5").decode() not in str(caught.value)


def test_a_short_header_value_or_a_user_agent_is_no_secret() -> None:
    secrets = Secrets(Settings("http://localhost", headers={"X-Env": "a", "User-Agent": "mine/1"}))
    assert secrets.redact("a user agent such as mine/1") == "a user agent such as mine/1"


async def test_no_error_keeps_its_traceback_in_a_report(clock: VirtualClock) -> None:
    refusal = reply_with({"detail": "no"}, 400)
    requests: list[dict[str, Any]] = [
        {"user_id": f"u{number}", "session_id": "s", "interactions": TURNS} for number in range(2)
    ]
    async with (
        raw_server(sequence(then=refusal)) as server,
        AsyncReflexioClient(TOKEN, server.url, clock=clock) as client,
    ):
        report = await client.publish_many(iter([*requests, {"user_id": 5}]))
    assert len(report.failed) == 3
    for outcome in report.outcomes:
        error: BaseException | None = outcome.error
        assert error is not None
        while error is not None:
            assert error.__traceback__ is None
            error = error.__context__


CONTROLS = "\x1b[2Jroot#\r\nINFO all fine\x07\u202e"


async def test_control_characters_of_a_server_are_escaped_in_errors_and_logs(
    caplog: pytest.LogCaptureFixture, clock: VirtualClock
) -> None:
    async with (
        raw_server(sequence(then=reply_with({"detail": CONTROLS}, 400))) as server,
        AsyncReflexioClient(TOKEN, server.url, clock=clock) as client,
    ):
        with pytest.raises(BadRequest) as caught:
            await client.whoami()
        assert str(caught.value).endswith(r"400: \x1b[2Jroot# INFO all fine\x07\u202e")
        await client.delete_profile(user_id="u", profile_id="p")
    messages = [record.getMessage() for record in caplog.records if record.name == "reflexio_async"]
    assert any("delete_profile failed in the background" in message for message in messages)
    assert all(message.isprintable() for message in messages)


async def test_the_message_of_a_refusal_does_not_show_a_token(seen: SeenTexts, clock: VirtualClock) -> None:
    """The message has no token. The response itself is unchanged."""
    refusal: Any = {"success": False, "user_profiles": [], "msg": f"not allowed for {TOKEN}"}
    async with (
        raw_server(sequence(then=reply_with(refusal))) as server,
        AsyncReflexioClient(TOKEN, server.url, clock=clock) as client,
    ):
        with pytest.raises(RequestRefused) as caught:
            await client.get_profiles(user_id="u")
    seen.add(str(caught.value), traceback.format_exception(caught.value))


async def test_no_error_of_a_login_shows_a_secret(seen: SeenTexts, clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, logins={"ana": "right"}) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client,
    ):
        await fails_with(seen, AuthenticationError, client.login("ana", PASSWORD))
        box.faults.add(faults.internal_error(), path="/token", times=2)
        await fails_with(seen, AuthenticationError, client.login("ana", PASSWORD))
        for unexpected in ({"access_token": ISSUED}, {"api_key": [ISSUED], "token_type": "bearer"}):
            box.faults.add(faults.status(200, unexpected), path="/token")
            await fails_with(seen, UnexpectedResponse, client.login("ana", PASSWORD))
        issued = {"api_key": ISSUED, "token_type": "bearer"}
        box.faults.add(faults.status(200, issued), path="/token")
        await client.login("ana", PASSWORD)
        seen.add(client, client._engine.caller.credentials)
        await fails_with(seen, AuthenticationError, client.whoami())
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", clock=clock) as client:
        await fails_with(seen, APIConnectionError, client.login("ana", PASSWORD))
        no_email: Any = None
        await fails_with(seen, InvalidRequest, client.login(no_email, PASSWORD))


async def test_the_repr_of_a_login_form_does_not_show_the_password(seen: SeenTexts) -> None:
    seen.add(LoginForm(email="ana", password=PASSWORD), LoginForm)
