"""A web backend that tests run with two workers: it starts reruns, and answers for tokens."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from reflexio_async import AsyncReflexioClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

client: AsyncReflexioClient


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    global client
    async with AsyncReflexioClient(store=os.environ["STORE"]) as client:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/reruns/{user}")
async def start(user: str) -> dict[str, Any]:
    job = await client.rerun_profile_generation(user_id=user)
    return {"token": job.token, "worker": os.getpid()}


@app.get("/reruns")
async def result(token: str) -> dict[str, Any]:
    response = await client.job(token)
    return {"generated": response.profiles_generated, "worker": os.getpid()}
