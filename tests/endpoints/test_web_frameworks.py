"""Starlette and FastAPI run the calls in the background, and take requests as bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse
from starlette.routing import Route

from reflexio_async.reflexio.models.search import (
    UnifiedSearchRequest,  # noqa: TC001  # FastAPI reads the annotations of handlers at run time
)
from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from reflexio_async import AsyncReflexioClient
    from reflexio_async.sandbox import VirtualClock

TURNS = [{"role": "user", "content": "I like sushi"}]

# FastAPI silences this warning while it reads a handler. Our models build their schema later, at first use.
deferred = pytest.mark.filterwarnings("ignore:The 'alias' attribute with value 'request'")


@pytest.fixture
async def box(clock: VirtualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=clock, rerun_seconds=1.0) as box:
        yield box


async def post(app: ASGIApp, path: str, body: object = None) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as browser:
        return await browser.post(path, json=body)


async def test_a_background_task_of_starlette_publishes(box: Sandbox, client: AsyncReflexioClient) -> None:
    async def chat(request: Request) -> JSONResponse:  # noqa: ARG001  # Starlette calls it so
        task = BackgroundTask(client.publish_interaction, "u", TURNS, session_id="s")
        return JSONResponse({"ok": True}, background=task)

    answer = await post(Starlette(routes=[Route("/chat", chat, methods=["POST"])]), "/chat")
    assert answer.json() == {"ok": True}
    assert box.count("POST", "/api/publish_interaction") == 1
    [turn] = (await client.get_interactions(user_id="u")).interactions
    assert turn.content == "I like sushi"


async def test_background_tasks_of_fastapi_publish(box: Sandbox, client: AsyncReflexioClient) -> None:
    app = FastAPI()

    @app.post("/chat")
    async def chat(background: BackgroundTasks) -> dict[str, bool]:
        background.add_task(client.publish_interaction, user_id="u", session_id="s", interactions=TURNS)
        background.add_task(client.for_session("s").publish_interaction, "u", TURNS)
        return {"ok": True}

    answer = await post(app, "/chat")
    assert answer.json() == {"ok": True}
    assert box.count("POST", "/api/publish_interaction") == 2
    assert len((await client.get_interactions(user_id="u")).interactions) == 2


async def test_background_tasks_of_fastapi_start_jobs_and_wait_for_them(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    app = FastAPI()

    @app.post("/learn")
    async def learn(background: BackgroundTasks) -> None:
        background.add_task(client.rerun_profile_generation, user_id="u", wait_for_response=True)
        background.add_task(client.rerun_profile_generation, {"user_id": "u"})
        background.add_task(client.delete_session, "s", wait_for_response=True)

    box.seed("u")
    assert (await post(app, "/learn")).status_code == 200
    assert box.count("POST", "/api/rerun_profile_generation") == 2
    assert box.count("DELETE", "/api/delete_session") == 1


@deferred
async def test_a_request_may_be_the_body_of_a_handler(box: Sandbox, client: AsyncReflexioClient) -> None:
    app = FastAPI()

    @app.post("/search")
    async def search(request: UnifiedSearchRequest) -> Any:
        return (await client.search(request)).success

    assert (await post(app, "/search", {"query": "sushi"})).json() is True
    assert box.requests[-1].body == {"query": "sushi"}


@deferred
@pytest.mark.parametrize("body", [{}, {"query": 7}, {"query": "sushi", "user": "u"}], ids=repr)
async def test_a_faulty_body_is_a_422_of_the_handler(client: AsyncReflexioClient, body: Any) -> None:
    app = FastAPI()

    @app.post("/search")
    async def search(request: UnifiedSearchRequest) -> Any:
        return (await client.search(request)).success

    answer = await post(app, "/search", body)
    assert answer.status_code == 422
    assert ("query" in answer.text) or ("user" in answer.text)
