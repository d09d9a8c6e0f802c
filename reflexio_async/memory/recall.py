"""Asks both services for memory at the same time, within a timeout and without an error."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from reflexio_async._engine.logs import fields
from reflexio_async.errors import APIStatusError, APITimeout
from reflexio_async.reflect.presets import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.ignored_errors import IgnoredErrors
    from reflexio_async.memory.api import MemoryAPI
    from reflexio_async.reflect.models.memories import Memory, MemoryQuery
    from reflexio_async.reflect.presets import PresetName
    from reflexio_async.reflexio.models.search import UnifiedSearchRequest, UnifiedSearchViewResponse

T = TypeVar("T")

logger = logging.getLogger("reflexio_async")


def report_failure(what: str, error: Exception, *, level: int) -> None:
    """Log a failure. Neither the query nor the server's text is in the message."""
    status = f" {error.status}" if isinstance(error, APIStatusError) else ""
    logger.log(
        level,
        "%s failed (%s%s); the agent goes on without it",
        what,
        type(error).__name__,
        status,
        extra=fields("agent_memory_failed", error),
    )


async def recall(
    client: MemoryAPI, search: UnifiedSearchRequest, timeout: float, preset: PresetName
) -> tuple[UnifiedSearchViewResponse | None, list[Memory], Exception | None]:
    """Search in Reflexio and, if the client has such a server, in Reflect. Return an error, if any.

    Args:
        client: A client whose refusals are errors.
        search: The search.
        timeout: Seconds for both.
        preset: How memories of Reflect are found. The search has their number.
    """
    clock, errors = client._engine.caller.clock, client._recall_errors  # noqa: SLF001  # of this client
    within = partial(_within, timeout=timeout, clock=clock, errors=errors)
    query = _memory_query(search, preset) if client._reflect_server.is_given else None  # noqa: SLF001  # as above

    async def recall_memories(query: MemoryQuery) -> list[Memory]:
        return await client.reflect._query(query)  # noqa: SLF001  # as above

    async with asyncio.TaskGroup() as group:
        other = None
        if query is not None:
            send = partial(recall_memories, query)
            other = group.create_task(within("the query for memories of Reflect", send))
        found, error = await within("the search for memory", partial(client.search, search))
    memories, other_error = other.result() if other else (None, None)
    return found, memories or [], error or other_error


def _memory_query(search: UnifiedSearchRequest, preset: PresetName) -> MemoryQuery:
    from reflexio_async.reflect.models.memories import MemoryQuery  # noqa: PLC0415  # loads the models of Reflect

    values = BY_NAME[preset]
    return MemoryQuery(
        task=search.query,
        limit=search.top_k or values["limit"],
        lambda_=values["lambda_"],
        similarity_threshold=values["similarity_threshold"],
    )


async def _within(
    what: str, send: Callable[[], Awaitable[T]], timeout: float, clock: Clock, errors: IgnoredErrors
) -> tuple[T | None, Exception | None]:
    """Return the response, or the error. ``timeout`` bounds the wait."""
    try:
        async with clock.timeout(timeout):
            found = await send()
    except APITimeout as error:
        failure: Exception = error
    except TimeoutError:
        failure = APITimeout(f"{what} took longer than {timeout:g} s")
    except Exception as error:  # noqa: BLE001  # no error of the memory may stop the agent
        failure = error
    else:
        errors.worked(what)
        return found, None
    errors.failed(what, failure)
    return None, failure
