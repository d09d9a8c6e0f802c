"""Asks both services for memory at the same time, within a timeout and without an error."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from reflexio_async.errors import APITimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async._engine.clock import Clock
    from reflexio_async.memory.api import MemoryAPI
    from reflexio_async.memory.notes import MemoryNotes
    from reflexio_async.reflect.models.memories import Memory
    from reflexio_async.reflexio.models.search import UnifiedSearchRequest, UnifiedSearchViewResponse

T = TypeVar("T")


async def recall(
    client: MemoryAPI, search: UnifiedSearchRequest, timeout: float
) -> tuple[UnifiedSearchViewResponse | None, list[Memory], Exception | None]:
    """Search in Reflexio and, if the client has such a server, in Reflect. Return an error, if any.

    Args:
        client: A client whose refusals are errors.
        search: The search.
        timeout: Seconds for both.
    """
    clock, notes = client._engine.caller.clock, client._memory_notes  # noqa: SLF001  # of this client
    within = partial(_within, timeout=timeout, clock=clock, notes=notes)

    async def recall_memories() -> list[Memory]:
        return await client.reflect.query_memories(search.query, limit=search.top_k or 5)

    async with asyncio.TaskGroup() as group:
        other = None
        if client._reflect_server.is_given:  # noqa: SLF001  # as above
            other = group.create_task(within("the query for memories of Reflect", recall_memories))
        found, error = await within("the search for memory", partial(client.search, search))
    memories, other_error = other.result() if other else (None, None)
    return found, memories or [], error or other_error


async def _within(
    what: str, send: Callable[[], Awaitable[T]], timeout: float, clock: Clock, notes: MemoryNotes
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
        notes.worked(what)
        return found, None
    notes.failed(what, failure)
    return None, failure
