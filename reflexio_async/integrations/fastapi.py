"""FastAPI: a client that lives as long as the application, readiness, and the progress of a job.

    app = FastAPI(lifespan=lifespan(lambda: AsyncReflexioClient(store="reflexio.db")))
    app.add_api_route("/ready", ready)

    @app.post("/chat")
    async def chat(message: str, client: Client) -> str: ...

    @app.get("/jobs/events")
    async def events(token: str, client: Client, request: Request) -> StreamingResponse:
        return job_events(client.job(token), request)

``examples/web/fastapi_app.py`` is a whole program.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from reflexio_async.client import AsyncReflexioClient
from reflexio_async.integrations.starlette import client_of, job_events, lifespan, ready, status_data

Client = Annotated[AsyncReflexioClient, Depends(client_of)]
"""The type of a parameter that gets the client of the application."""

__all__ = ["Client", "client_of", "job_events", "lifespan", "ready", "status_data"]
