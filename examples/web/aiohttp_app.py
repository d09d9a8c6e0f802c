"""A chat backend on aiohttp.web that remembers its users.

On a sandbox, at http://127.0.0.1:8000:

    python examples/web/aiohttp_app.py
"""

import os
from collections.abc import AsyncIterator

from aiohttp import web

from reflexio_async import AsyncReflexioClient
from reflexio_async.testing import Sandbox

CLIENT = web.AppKey("client", AsyncReflexioClient)
routes = web.RouteTableDef()


async def reflexio(app: web.Application) -> AsyncIterator[None]:
    async with AsyncReflexioClient(store=os.environ.get("REFLEXIO_STORE", "reflexio.db")) as client:
        app[CLIENT] = client
        yield


@routes.post("/users/{user_id}/chats/{session_id}")
async def chat(request: web.Request) -> web.Response:
    text = (await request.json())["text"]
    talk = request.app[CLIENT].conversation(**request.match_info)
    context = await talk.context(text, timeout=10)  # seconds
    answer = f"{text}? I know {len(context.profiles)} things about you."  # in place of a model
    await talk.add([{"role": "user", "content": text}, {"role": "assistant", "content": answer}])
    return web.json_response({"answer": answer})


@routes.post("/users/{user_id}/rerun")
async def rerun(request: web.Request) -> web.Response:
    job = await request.app[CLIENT].rerun_profile_generation(user_id=request.match_info["user_id"])
    return web.json_response({"token": job.token}, status=202)


@routes.get("/jobs")
async def status(request: web.Request) -> web.Response:
    status = await request.app[CLIENT].job(request.query["token"]).refresh()
    return web.json_response({"state": status.state, "progress": status.progress})


def make_app() -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    app.cleanup_ctx.append(reflexio)
    return app


async def sandbox(_: web.Application) -> AsyncIterator[None]:
    async with Sandbox(rerun_seconds=3.0) as box:
        os.environ.setdefault("REFLEXIO_API_URL", box.url)
        yield


if __name__ == "__main__":
    app = make_app()
    app.cleanup_ctx.insert(0, sandbox)
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
