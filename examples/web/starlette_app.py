"""A chat backend on Starlette that remembers its users.

On a sandbox, at http://127.0.0.1:8000:

    python examples/web/starlette_app.py

On your server, whose address is in REFLEXIO_API_URL:

    uvicorn --app-dir examples/web starlette_app:app --workers 2
"""

import asyncio
import os

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from reflexio_async import AsyncReflexioClient
from reflexio_async.integrations.starlette import client_of, job_events, lifespan, ready
from reflexio_async.testing import Sandbox


async def chat(request: Request) -> JSONResponse:
    text = (await request.json())["text"]
    talk = client_of(request).conversation(**request.path_params)
    context = await talk.context(text, timeout=10)  # seconds
    answer = f"{text}? I know {len(context.profiles)} things about you."  # in place of a model
    await talk.add([{"role": "user", "content": text}, {"role": "assistant", "content": answer}])
    return JSONResponse({"answer": answer})


async def rerun(request: Request) -> JSONResponse:
    job = await client_of(request).rerun_profile_generation(user_id=request.path_params["user_id"])
    return JSONResponse({"token": job.token}, 202)


async def events(request: Request) -> StreamingResponse:
    return job_events(client_of(request).job(request.query_params["token"]), request)


def make_client() -> AsyncReflexioClient:
    return AsyncReflexioClient(store=os.environ.get("REFLEXIO_STORE", "reflexio.db"))


app = Starlette(
    routes=[
        Route("/ready", ready),
        Route("/users/{user_id}/chats/{session_id}", chat, methods=["POST"]),
        Route("/users/{user_id}/rerun", rerun, methods=["POST"]),
        Route("/jobs/events", events),
    ],
    lifespan=lifespan(make_client),
)


async def main() -> None:
    port = int(os.environ.get("PORT", "8000"))
    async with Sandbox(rerun_seconds=3.0) as box:
        os.environ.setdefault("REFLEXIO_API_URL", box.url)
        await uvicorn.Server(uvicorn.Config(app, port=port)).serve()


if __name__ == "__main__":
    asyncio.run(main())
