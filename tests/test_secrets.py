"""Tokens, passwords and payloads are seen by nobody but the server."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    AsyncReflexioClient,
    AuthenticationError,
    BackgroundErrorEvent,
    InvalidRequest,
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
from reflexio_async.reflexio.models.identity import LoginForm
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.transport.servers import RawReply, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "tok-SECRET-1"
PASSWORD = "pass-SECRET-2"
PAYLOAD = "payload-SECRET-3"
ISSUED = "issued-SECRET-4"
TURNS = [{"role": "user", "content": PAYLOAD}]


class Witness:
    """Everything that anybody but the server could have seen."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self._seen: list[str] = []

    def see(self, *things: object) -> None:
        for thing in things:
            self._seen += [repr(thing), str(thing)]
            if isinstance(thing, BaseException):
                self._seen += self._of(thing)

    def _of(self, error: BaseException | None) -> Iterator[str]:
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            yield from traceback.format_exception(error)
            yield from (
                f"{error!r} {error} {error.args!r} {vars(error)!r}",
                repr(getattr(error, "__notes__", "")),
            )
            if isinstance(error, RequestRefused):
                yield repr(error.response)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)

    def verdict(self) -> None:
        for record in self._caplog.records:
            self._seen += [record.getMessage(), repr(record.args), self._caplog.handler.format(record)]
        assert len(self._seen) > 2
        for secret in (TOKEN, PASSWORD, PAYLOAD, ISSUED):
            assert [text for text in self._seen if secret in text] == []


@pytest.fixture
def witness(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Witness]:
    for name in ("REFLEXIO_API_KEY", "REFLEXIO_API_URL", "REFLEXIO_URL"):
        monkeypatch.delenv(name, raising=False)
    caplog.set_level(logging.DEBUG)
    witness = Witness(caplog)
    yield witness
    witness.verdict()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


async def failing(witness: Witness, kind: type[ReflexioError], call: Any) -> None:
    with pytest.raises(kind) as caught:
        await call
    witness.see(caught.value)


async def test_a_day_of_work(witness: Witness, clock: VirtualClock) -> None:
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
            witness.see(client, client._engine, client._engine.settings, client.with_options(timeout=5))
            witness.see(client._engine.caller.credentials)
            box.faults.add(faults.internal_error())
            receipt = await client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
            assert receipt.request_id is not None
            witness.see(receipt, client.learning(receipt.request_id), client.publish_interaction)
            job = await client.rerun_profile_generation(user_id="bad")
            witness.see(job)
            await failing(witness, ReflexioError, job)
            witness.see(job, job.token, job.status, job.timing)
            report = await client.rerun_profiles_many(["u", "bad"])
            witness.see(report, *report.failed)
            box.faults.add(faults.internal_error(), path="/api/manual_profile_generation")
            witness.see(await client.manual_profile_generation(user_id="u"))
    witness.see(*events)
    assert events


async def test_a_token_that_is_refused(witness: Witness, clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, api_key="another") as box,
        AsyncReflexioClient(TOKEN, box.url, clock=clock) as client,
    ):
        await failing(witness, AuthenticationError, client.whoami())


async def test_a_422_that_echoes_the_input(witness: Witness, clock: VirtualClock) -> None:
    echo = [{"type": "t", "loc": ["body", "x"], "msg": "Bad", "input": PAYLOAD, "ctx": {"given": PAYLOAD}}]
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(TOKEN, box.url, clock=clock) as client:
        box.faults.add(faults.status(422, {"detail": echo}))
        publish = client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
        await failing(witness, UnprocessableRequest, publish)


async def test_input_that_is_refused_here(witness: Witness) -> None:
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
        await failing(
            witness,
            InvalidRequest,
            client.publish_interaction(**{"user_id": "u", "session_id": "s", **fields}),
        )
    await client.aclose()


async def test_connections_that_break(witness: Witness, clock: VirtualClock) -> None:
    for raw in (b"", b"HTTP/1.1 two hundred\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"):
        async with (
            raw_server(sequence(then=RawReply(raw, close=True))) as server,
            AsyncReflexioClient(TOKEN, server.url, clock=clock, retry=RetryPolicy(max_attempts=1)) as client,
        ):
            await failing(witness, APIConnectionError, client.whoami())
            publish = client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
            await failing(witness, APIConnectionError, publish)
    async with AsyncReflexioClient(TOKEN, "http://127.0.0.1:1", clock=clock) as client:
        await failing(witness, APIConnectionError, client.whoami())


async def test_a_call_that_is_cancelled(witness: Witness) -> None:
    async with (
        raw_server(sequence()) as server,
        AsyncReflexioClient(TOKEN, server.url) as client,
    ):
        call = asyncio.create_task(client.whoami())
        await server.until_arrived()
        witness.see(call)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
        witness.see(caught.value)


@pytest.mark.parametrize("echoed", [TOKEN, f"Bearer {TOKEN}", f"{{'Authorization': 'Bearer {TOKEN}'}}"])
async def test_a_server_that_echoes_the_token(witness: Witness, clock: VirtualClock, echoed: str) -> None:
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
            await failing(witness, kind, client.whoami())


async def test_a_refusal_that_echoes_the_token(witness: Witness, clock: VirtualClock) -> None:
    """The message; the response itself is the caller's to look at."""
    refusal: Any = {"success": False, "user_profiles": [], "msg": f"not allowed for {TOKEN}"}
    async with (
        raw_server(sequence(then=reply_with(refusal))) as server,
        AsyncReflexioClient(TOKEN, server.url, clock=clock) as client,
    ):
        with pytest.raises(RequestRefused) as caught:
            await client.get_profiles(user_id="u")
    witness.see(str(caught.value), traceback.format_exception(caught.value))


async def test_logins(witness: Witness, clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, logins={"ana": "right"}) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client,
    ):
        await failing(witness, AuthenticationError, client.login("ana", PASSWORD))
        box.faults.add(faults.internal_error(), path="/token", times=2)
        await failing(witness, AuthenticationError, client.login("ana", PASSWORD))
        for strange in ({"access_token": ISSUED}, {"api_key": [ISSUED], "token_type": "bearer"}):
            box.faults.add(faults.status(200, strange), path="/token")
            await failing(witness, UnexpectedResponse, client.login("ana", PASSWORD))
        issued = {"api_key": ISSUED, "token_type": "bearer"}
        box.faults.add(faults.status(200, issued), path="/token")
        await client.login("ana", PASSWORD)
        witness.see(client, client._engine.caller.credentials)
        await failing(witness, AuthenticationError, client.whoami())
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", clock=clock) as client:
        await failing(witness, APIConnectionError, client.login("ana", PASSWORD))
        nobody: Any = None
        await failing(witness, InvalidRequest, client.login(nobody, PASSWORD))


async def test_a_login_form(witness: Witness) -> None:
    witness.see(LoginForm(email="ana", password=PASSWORD), LoginForm)
