"""Only the server sees the keys of Reflect and the messages of agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    AsyncReflectClient,
    AuthenticationError,
    InvalidRequest,
    JobFailed,
    PermissionDenied,
    RequestEvent,
    RetryPolicy,
    ServerError,
    UnexpectedResponse,
    UnprocessableRequest,
)
from reflexio_async.reflect.models import BootstrapRequest
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from reflexio_async.sandbox.reflect.settings import ReflectSettings
from tests.test_secrets import PAYLOAD, TOKEN, SeenTexts, fails_with
from tests.transport.servers import RawReply, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reflexio_async import ReflexioError

ONE_TRY = RetryPolicy(max_attempts=1)


@pytest.fixture
def seen(caplog: pytest.LogCaptureFixture) -> Iterator[SeenTexts]:
    caplog.set_level("DEBUG")
    seen = SeenTexts(caplog)
    yield seen
    seen.check()


async def test_no_call_shows_a_secret(seen: SeenTexts) -> None:
    clock = VirtualClock()
    events: list[Any] = []
    settings = ReflectSettings(master_key=TOKEN, failing_tasks={"bad"})
    async with (
        Sandbox(clock=clock, reflect=settings) as box,
        AsyncReflectClient(
            base_url=box.reflect_url,
            api_key=TOKEN,
            clock=clock,
            on_request=events.append,
            on_retry=events.append,
            on_background_error=events.append,
        ) as client,
    ):
        seen.add(client, client._engine, client._engine.settings, client.with_project("p"))
        box.faults.add(faults.internal_error(), method="POST")
        await client.query_memories("task")
        said = [{"role": "user", "content": PAYLOAD}]
        job = await client.create_trace(task="bad", trajectory=said, review_result="pass")
        seen.add(job, job.token, job.status, client.create_trace)
        await fails_with(seen, JobFailed, job)
        report = await client.create_traces_many([{"task": "bad", "trajectory": said}])
        seen.add(report, *report.failed, report.table())
        created = await client.create_api_key(label="l", scopes=["trace:read"])
        assert created.api_key not in repr(created)
        assert created.api_key not in str(created)
    seen.add(*events)
    assert any(isinstance(event, RequestEvent) for event in events)


async def test_no_error_of_unusable_arguments_shows_a_secret(seen: SeenTexts) -> None:
    client: Any = AsyncReflectClient(base_url="http://127.0.0.1:1", api_key=TOKEN)
    wrong: list[dict[str, Any]] = [
        {"trajectory": f"{PAYLOAD} \udce9"},
        {"trajectory": [{"content": PAYLOAD}]},
        {"trajectory": [PAYLOAD]},
        {"trajectory": [{"role": [PAYLOAD]}]},
        {"trajectory": [], "review_result": PAYLOAD},
        {"trajectory": [], "metadata": [PAYLOAD]},
        {"trajectory": [], "metadata": {PAYLOAD: {PAYLOAD}}},
        {"trajectory": [{"role": "user", "content": {PAYLOAD}}]},
        {"trajectory": [], "final_response": [PAYLOAD]},
    ]
    for fields in wrong:
        await fails_with(seen, InvalidRequest, client.create_trace(task="t", **fields))


@pytest.mark.parametrize("echoed", [TOKEN, f"Bearer {TOKEN}"])
async def test_no_error_shows_a_secret_that_the_server_repeats(seen: SeenTexts, echoed: str) -> None:
    text = f"not allowed for {echoed}"
    echo = [{"type": "t", "loc": ["body", "x"], "msg": "Bad", "input": PAYLOAD}]
    replies: list[tuple[RawReply, type[ReflexioError]]] = [
        (reply_with({"detail": text}, 401), AuthenticationError),
        (reply_with({"detail": text}, 403), PermissionDenied),
        (reply_with({"detail": echo}, 422), UnprocessableRequest),
        (reply_with(text.encode(), 500, kind="text/plain"), ServerError),
        (reply_with(text.encode()), UnexpectedResponse),
        (RawReply(b"", close=True), APIConnectionError),
    ]
    for reply, kind in replies:
        async with raw_server(sequence(then=reply)) as server:
            async with AsyncReflectClient(base_url=server.url, api_key=TOKEN, retry=ONE_TRY) as client:
                await fails_with(seen, kind, client.list_traces())
                await fails_with(seen, kind, client.create_trace(task="t", trajectory=[]))
            bootstrap = AsyncReflectClient.bootstrap(
                base_url=server.url, bootstrap_token=TOKEN, user_id="u", project_id="p"
            )
            await fails_with(seen, kind, bootstrap)


def test_a_bootstrap_request_does_not_show_its_token(seen: SeenTexts) -> None:
    seen.add(BootstrapRequest(bootstrap_token=TOKEN, user_id="u", project_id="p"))
    seen.add(BootstrapRequest)
