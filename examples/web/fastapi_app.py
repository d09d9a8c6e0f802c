"""A chat backend on FastAPI that remembers its users. With several workers, they share one store.

On a sandbox, at http://127.0.0.1:8000:

    python examples/web/fastapi_app.py

On your server, whose address is in REFLEXIO_API_URL:

    uvicorn --app-dir examples/web fastapi_app:app --workers 2
"""

import asyncio
import os
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from reflexio_async import AsyncReflexioClient, InvalidRequest, Job
from reflexio_async.integrations.fastapi import Client, job_events, lifespan, ready, status_data
from reflexio_async.testing import Sandbox


def make_client() -> AsyncReflexioClient:
    return AsyncReflexioClient(store=os.environ.get("REFLEXIO_STORE", "reflexio.db"))


app = FastAPI(lifespan=lifespan(make_client))
app.add_api_route("/ready", ready)


class Message(BaseModel):
    text: str


@app.post("/users/{user_id}/chats/{session_id}")
async def chat(user_id: str, session_id: str, message: Message, client: Client) -> dict[str, str]:
    talk = client.conversation(user_id=user_id, session_id=session_id)
    context = await talk.context(message.text, timeout=10)  # seconds
    answer = model(message.text, str(context))
    turns = [{"role": "user", "content": message.text}, {"role": "assistant", "content": answer}]
    await talk.add(turns)  # in the store now; published after the response, also if this process is killed
    return {"answer": answer}


@app.post("/users/{user_id}/rerun", status_code=202)
async def rerun(user_id: str, client: Client) -> dict[str, str | None]:
    job = await client.rerun_profile_generation(user_id=user_id)
    return {"token": job.token}


@app.get("/jobs")
async def status(token: str, client: Client) -> dict[str, Any]:
    return {**status_data(await find(client, token).refresh()), "worker": os.getpid()}


@app.get("/jobs/events")
async def events(token: str, client: Client, request: Request) -> StreamingResponse:
    return job_events(find(client, token), request)


def find(client: AsyncReflexioClient, token: str) -> Job[Any]:
    try:
        return client.job(token)
    except InvalidRequest as error:
        raise HTTPException(404, "no such job") from error


def model(question: str, memory: str) -> str:  # stands for a real one
    return f"{question}? I know {memory.count('<fact>')} things about you."


async def main() -> None:
    port = int(os.environ.get("PORT", "8000"))
    async with Sandbox(rerun_seconds=3.0) as box:
        os.environ.setdefault("REFLEXIO_API_URL", box.url)
        await uvicorn.Server(uvicorn.Config(app, port=port)).serve()


if __name__ == "__main__":
    asyncio.run(main())
