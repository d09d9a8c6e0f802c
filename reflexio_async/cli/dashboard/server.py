"""The web server of the dashboard: on loopback, read-only, behind a path that is hard to guess."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import asynccontextmanager
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from aiohttp import web

from reflexio_async._engine.pages.document import resource, text
from reflexio_async.durable.overview import read_overview
from reflexio_async.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from reflexio_async.durable.readers import StoreReader

logger = logging.getLogger("reflexio_async")

HOST = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_READ_TIMEOUT = 10.0  # seconds


def _own(name: str) -> str:
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse what no browser at this machine asks for by itself, and add the headers of all responses."""
    try:
        # Another name in Host means that a foreign page has had its own name resolved to this machine.
        name = request.host.rpartition(":")[0] if not request.host.endswith("]") else request.host
        if (name or request.host) not in _NAMES:
            raise web.HTTPForbidden(text="this page is for the address 127.0.0.1 or localhost alone\n")
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise web.HTTPForbidden(text="another site has asked for this page\n")
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    response.headers.update(_HEADERS)
    return response


class _Dashboard:
    """The handlers of one store."""

    def __init__(self, reader: StoreReader, store: str) -> None:
        self._reader = reader
        page = Template(_own("dashboard.html"))
        self._page = page.substitute(store=text(store), hatch=resource("hatch.svg").strip())
        self._style = resource("style.css") + _own("dashboard.css")
        self._script = _own("dashboard.js")

    def routes(self, token: str) -> list[web.RouteDef]:
        handlers = {"": self.page, "style.css": self.style, "dashboard.js": self.script, "data": self.data}
        return [web.get(f"/{token}/{name}", each, allow_head=False) for name, each in handlers.items()]

    async def page(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._page, content_type="text/html")

    async def style(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._style, content_type="text/css")

    async def script(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._script, content_type="text/javascript")

    async def data(self, _request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_READ_TIMEOUT):
                return web.json_response(await read_overview(self._reader))
        except TimeoutError:
            error = f"the store did not answer within {_READ_TIMEOUT:g} s"
        except StoreError as failed:
            error = str(failed)
        return web.json_response({"error": error}, status=503)


@asynccontextmanager
async def serving(reader: StoreReader, store: str, port: int) -> AsyncGenerator[str]:
    """Serve the dashboard of a store while the block runs. The value is its address.

    Args:
        reader: Reads the store.
        store: The name that is shown.
        port: The port; 0 picks a free one.

    Raises:
        OSError: The port cannot be used.
    """
    token = secrets.token_urlsafe(16)
    app = web.Application(middlewares=[_guard])
    app.add_routes(_Dashboard(reader, store).routes(token))
    # A request that is no HTTP, such as https for http, is logged with a traceback: --verbose shows it.
    runner = web.AppRunner(app, access_log=None, logger=logger, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}/{token}/"
    finally:
        await runner.cleanup()
