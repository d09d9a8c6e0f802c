"""Starlette: a client that lives as long as the application, readiness, and the progress of a job.

    app = Starlette(routes=[Route("/ready", ready), …], lifespan=lifespan())

    async def chat(request: Request) -> JSONResponse:
        client = client_of(request)

``examples/web/starlette_app.py`` is a whole program.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection, Request  # noqa: TC002  # FastAPI reads the annotations
from starlette.responses import JSONResponse, StreamingResponse

from reflexio_async.client import AsyncReflexioClient
from reflexio_async.errors import ConfigurationError, ReflexioError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping
    from contextlib import AbstractAsyncContextManager
    from types import FrameType

    from reflexio_async._engine.jobs.job import Job
    from reflexio_async._engine.jobs.status import JobStatus

_READY_SECONDS = 2.0  # platforms give a probe a few seconds
_KEEP_ALIVE = 15.0  # seconds; proxies end streams in which nothing is sent
_STATE = "reflexio"


@dataclass(frozen=True, slots=True)
class AppState:
    """What the lifespan of an application keeps for its handlers.

    Attributes:
        client: The client.
        closing: Set when the server is asked to stop. Streams end then, so that the server can stop.
    """

    client: AsyncReflexioClient
    closing: asyncio.Event


def lifespan(
    make_client: Callable[[], AsyncReflexioClient] = AsyncReflexioClient,
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Return a ``lifespan`` for an application of Starlette or FastAPI.

    It makes one client in each process, when the application starts. When the application stops, it closes
    the client. The calls that are under way are finished first, and without a store the outbox is emptied,
    within the ``drain_timeout`` of the client (20 s).

    A lifespan of your own can enter it. It must pass on what it gets:

        reflexio = lifespan()

        @asynccontextmanager
        async def own_lifespan(app):
            async with reflexio(app) as state:
                yield {**state, ...}

    Args:
        make_client: Makes the client. By default its options come from the environment.
    """

    @asynccontextmanager
    async def run(_app: Any) -> AsyncGenerator[Mapping[str, Any]]:
        closing = asyncio.Event()
        async with make_client() as client:
            with _set_by_signals(closing):
                yield {_STATE: AppState(client, closing)}

    return run


def client_of(connection: HTTPConnection) -> AsyncReflexioClient:
    """Return the client of the application that serves this request or WebSocket.

    Raises:
        ConfigurationError: The application was made without the lifespan of this module, or it did not run.
    """
    return _state_of(connection).client


async def ready(request: Request) -> JSONResponse:
    """Answer a readiness probe: 200 if the Reflexio server answers within 2 s, otherwise 503.

    It is 503 too when this process is asked to stop. Do not use it as a liveness probe: a server that is away
    is no reason to restart this process.
    """
    state = _state_of(request)
    reason = "closing" if state.closing.is_set() else ""
    if not reason:
        try:
            await state.client.with_options(timeout=_READY_SECONDS).health()
        except ReflexioError as error:
            reason = type(error).__name__  # the text may hold addresses, and the caller may be anybody
    if reason:
        return JSONResponse({"ready": False, "reason": reason}, 503)
    return JSONResponse({"ready": True})


def job_events(job: Job[Any], connection: HTTPConnection) -> StreamingResponse:
    """Return the progress of a job as server-sent events.

    Each change is an event ``status``, whose data is JSON: ``state``, ``progress`` (0 to 1), ``message`` and
    ``error``. The last one is an event ``end``. The reader should close its stream then, as browsers
    otherwise connect again. A status that cannot be read is an event ``failure``, with ``error``, and ends
    the stream.

    The stream also ends when the server is asked to stop (SIGTERM or Ctrl-C). A browser then connects again,
    to another process. There, ``client.job(token)`` finds the job.

    Args:
        job: The job, such as ``client.job(token)``.
        connection: The request.
    """
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # nginx must not hold events back
    events = _events(job, _state_of(connection).closing)
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _events(job: Job[Any], closing: asyncio.Event) -> AsyncGenerator[str]:
    statuses = job.watch()
    stopping = asyncio.ensure_future(closing.wait())
    upcoming: asyncio.Future[JobStatus] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(anext(statuses))
            first: list[asyncio.Future[Any]] = [upcoming, stopping]
            await asyncio.wait(first, timeout=_KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                return
            if not upcoming.done():
                yield ": keep alive\n\n"
                continue
            status, upcoming = upcoming.result(), None
            yield _event("end" if status.done else "status", status_data(status))
            if status.done:
                return
    except ReflexioError as error:
        yield _event("failure", {"error": str(error)})
    finally:
        tasks: list[asyncio.Future[Any]] = [stopping, upcoming] if upcoming else [stopping]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await statuses.aclose()


def status_data(status: JobStatus) -> dict[str, Any]:
    """Return what ``job_events`` sends of a status, as JSON."""
    return {
        "state": str(status.state),
        "progress": status.progress,
        "message": status.message,
        "error": status.error,
    }


def _event(name: str, data: Mapping[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _state_of(connection: HTTPConnection) -> AppState:
    state = getattr(connection.state, _STATE, None)
    if not isinstance(state, AppState):
        message = (
            "the application has no Reflexio client: make it with lifespan=lifespan(). A lifespan of your "
            "own must pass on what this one gives; TestClient runs it only as `with TestClient(app)`"
        )
        raise ConfigurationError(message)
    return state


@contextmanager
def _set_by_signals(closing: asyncio.Event) -> Generator[None]:
    """Set ``closing`` when a signal tells the server to stop, while the block runs.

    A server ends the lifespan only after all responses have ended. A stream must know before that. The
    handlers that the server has installed are called as before.
    """
    if threading.current_thread() is not threading.main_thread():  # only this thread may handle signals
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(closing.set)
        before[number](number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if callable(handler):
            before[number] = handler
            signal.signal(number, handle)
    try:
        yield
    finally:
        for stop_signal, server_handler in before.items():
            if signal.getsignal(stop_signal) is handle:
                signal.signal(stop_signal, server_handler)
