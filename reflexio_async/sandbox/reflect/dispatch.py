"""From a request of the Reflect service to its response: route, size, key, scope, input, handler."""

from __future__ import annotations

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import Response, error_response
from reflexio_async.sandbox.http.routing import respond
from reflexio_async.sandbox.http.server import MAX_BODY
from reflexio_async.sandbox.reflect.authorization import authorize
from reflexio_async.sandbox.reflect.handlers import ROUTER
from reflexio_async.sandbox.reflect.state import ReflectState


async def dispatch(state: ReflectState, context: RequestContext) -> Response:
    """The response to a request of the Reflect service."""
    return await respond(context, _handle(state, context))


async def _handle(state: ReflectState, context: RequestContext) -> Response:
    route = ROUTER.match(context)
    if len(context.raw_body) > MAX_BODY:
        return error_response(413, "Request body too large")
    project = None if route.scopes is None else authorize(state, context, route.scopes)
    return await route.handle(context, route.parse(context), state=state, project=project)
