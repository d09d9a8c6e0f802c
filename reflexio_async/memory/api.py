"""The client's calls for agents: ``context`` and ``conversation``."""

from __future__ import annotations

import asyncio
import logging
import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from reflexio_async._engine.models import (
    NotBlank,
    RequestModel,
    SourceName,
    build_request,
    drop_none,
    invalid,
)
from reflexio_async._engine.settings import positive_count, positive_seconds
from reflexio_async._engine.warn import warn_caller
from reflexio_async.errors import APIStatusError, APITimeout
from reflexio_async.memory.context import MemoryContext
from reflexio_async.reflexio.api.outbox import OutboxAPI
from reflexio_async.reflexio.api.search import SEARCH
from reflexio_async.reflexio.models.interactions import DEFAULT_AGENT_VERSION
from reflexio_async.reflexio.models.search import UnifiedSearchRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async._engine.clock import Clock
    from reflexio_async.memory.conversation import Conversation
    from reflexio_async.reflect.client import AsyncReflectClient
    from reflexio_async.reflect.models.memories import Memory
    from reflexio_async.reflect.service import ReflectServer
    from reflexio_async.reflexio.models.search import UnifiedSearchViewResponse

T = TypeVar("T")

logger = logging.getLogger("reflexio_async")

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MAX_QUERY = 4000  # characters; what a user pastes into a message may be far longer than what it is about
_MAX_USERS = 1000  # of whom the sessions are counted
_SESSIONS = 10  # of one user, each with one turn: too many to be conversations


class ConversationRequest(RequestModel, title="conversation"):
    """Names one conversation."""

    user_id: Annotated[NotBlank, Field(max_length=255)]
    session_id: NotBlank
    agent_version: Annotated[str, Field(max_length=1000)] = DEFAULT_AGENT_VERSION
    source: SourceName = ""


class MemoryNotes:
    """What a client and its views remember about their calls of ``context`` and ``conversation``."""

    def __init__(self) -> None:
        self._failing: set[str] = set()
        self._warned: set[str] = set()
        self._short: dict[str, set[str] | None] = {}
        """For each user, the sessions with one published turn. None: a session had several."""

    def failed(self, what: str, error: Exception) -> None:
        """Log a failure: the first one loudly. Neither the query nor the server's text is in the message."""
        level = logging.DEBUG if what in self._failing else logging.WARNING
        self._failing.add(what)
        status = f" {error.status}" if isinstance(error, APIStatusError) else ""
        reason = f"{type(error).__name__}{status}"
        logger.log(level, "%s failed (%s); the agent goes on without it", what, reason)

    def worked(self, what: str) -> None:
        """A later failure is loud again."""
        self._failing.discard(what)

    def check_user(self, user_id: str) -> None:
        """Warn once of an email address."""
        if _EMAIL.fullmatch(user_id.strip()):
            self._warn("user_id is an email address: use an opaque id that stays the same")

    def add_turn(self, user_id: str, session_id: str) -> None:
        """Count a published turn. Warn once when every turn of a user has a session of its own."""
        sessions = self._short.pop(user_id, set())
        if sessions is not None:
            sessions = None if session_id in sessions else {*sessions, session_id}
        if sessions is not None and len(sessions) == _SESSIONS:
            sessions = None
            self._warn("every turn has a new session_id: use one session_id for a whole conversation")
        self._short[user_id] = sessions
        if len(self._short) > _MAX_USERS:
            del self._short[next(iter(self._short))]

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            warn_caller(message, UserWarning)


class MemoryAPI(OutboxAPI):
    """Memory for an agent: recalled before a turn, published after it."""

    _reflect_server: ReflectServer
    _memory_notes: MemoryNotes

    if TYPE_CHECKING:

        @property
        def reflect(self) -> AsyncReflectClient:
            """The client of a Reflect server."""
            ...

    async def context(
        self,
        user_id: str,
        query: str,
        *,
        session_id: str | None = None,
        request_id: str | None = None,
        agent_version: str | None = None,
        source: str | None = None,
        top_k: int = 5,
        threshold: float | None = None,
        timeout: float = 1.0,
        max_chars: int = 6000,
    ) -> MemoryContext:
        """Recall what may help an agent with its next answer. ``str(context)`` goes into the prompt.

        One search finds facts about the user, guidance learned from the user, and approved guidance for all
        users. If the client has a Reflect server (``reflect_url`` or ``REFLECT_API_URL``), its memories are
        found at the same time. Responses are not cached: what the server has just learned is found.

        It fails open: after an error, or when ``timeout`` has passed, the context has what was found until
        then, maybe nothing, and ``context.error``. The first failure is logged as a warning, later ones at
        level DEBUG until it works again. Queries and memories are never logged.

        Args:
            user_id: The user: an opaque id, not an email address.
            query: What the user wants now, such as the user's message. Its first 4000 characters are used.
                Without text, nothing is sent and nothing found.
            session_id: The server leaves out what this session was given before. So do not pass it when the
                prompt of a turn has only what was recalled for that turn: from the second turn on, the best
                memories would be missing.
            request_id: The ``request_id`` of the publish that follows, by which the server finds out which
                learnings led to which turns.
            agent_version: Only playbooks of this version. None: of all versions.
            source: Only what was learned from this source.
            top_k: The most results of each kind.
            threshold: The minimum similarity, 0 to 1. None: the server's default.
            timeout: Seconds that the whole call may take.
            max_chars: The most characters of the text. What does not fit is left out, the best items last.

        Raises:
            InvalidRequest: An argument has an unusable value; nothing was sent.
        """
        if isinstance(query, str):
            query = query.encode("utf-8", "replace").decode()[:_MAX_QUERY].strip()
        fields = drop_none(
            user_id=user_id,
            query=query,
            session_id=session_id,
            request_id=request_id,
            agent_version=agent_version,
            source=source,
            top_k=top_k,
            threshold=threshold,
            agent_playbook_status_filter=["approved"],
        )
        search = build_request(UnifiedSearchRequest, fields, "context")
        if not search.user_id or not search.user_id.strip():
            name = "context"
            raise invalid(name, "user_id must not be empty")
        positive_seconds("context: timeout", timeout)
        positive_count("context: max_chars", max_chars)
        self._memory_notes.check_user(user_id)
        self._engine.loops.check()
        if query:
            found, memories, error = await self._recall(search, timeout)
        else:
            found, memories, error = None, [], None
        if found is None:
            return MemoryContext(memories=memories, error=error, max_chars=max_chars)
        return MemoryContext(
            found.profiles,
            found.user_playbooks,
            found.agent_playbooks,
            memories,
            found.experiment,
            error,
            searched=True,
            max_chars=max_chars,
        )

    async def _recall(
        self, search: UnifiedSearchRequest, timeout: float
    ) -> tuple[UnifiedSearchViewResponse | None, list[Memory], Exception | None]:
        """Search in Reflexio and, if the client has a server of it, in Reflect. Return an error, if any."""
        clock, notes = self._engine.caller.clock, self._memory_notes
        options: dict[str, Any] = {
            "settings": self._strict_settings(),
            "repeatable": search.session_id is None,
        }

        async def recall_memories() -> list[Memory]:
            return await self.reflect.query_memories(search.query, limit=search.top_k or 5)

        async with asyncio.TaskGroup() as group:
            other = None
            if self._reflect_server.is_given:
                what = "the query for memories of Reflect"
                other = group.create_task(_within(what, recall_memories, timeout, clock, notes))
            found, error = await _within(
                "the search for memory", partial(self._send, SEARCH, search, **options), timeout, clock, notes
            )
        memories, other_error = other.result() if other else (None, None)
        return found, memories or [], error or other_error

    def conversation(
        self,
        *,
        user_id: str,
        session_id: str,
        agent_version: str = DEFAULT_AGENT_VERSION,
        source: str = "",
        history: object = (),
    ) -> Conversation:
        """Return a conversation of a user with an agent. It recalls before a turn and publishes after it.

            talk = client.conversation(user_id="u1", session_id="chat-1")
            context = await talk.context("Where shall we eat?")
            await talk.add(messages)

        Nothing is sent until then. All state is in the conversation: use one for each session, not one for
        several users.

        Args:
            user_id: The user: an opaque id, not an email address.
            session_id: The conversation. It stays the same for all its turns.
            agent_version: The agent's version. Playbooks are learned and recalled per version.
            source: Where the turns come from: lower case letters, digits and ``. _ : -``.
            history: Messages of this conversation that were published before, for example by another
                process. They are not published again.

        Raises:
            InvalidRequest: An argument has an unusable value.
        """
        from reflexio_async.memory.conversation import Conversation  # noqa: PLC0415  # loads the converters

        fields = {
            "user_id": user_id,
            "session_id": session_id,
            "agent_version": agent_version,
            "source": source,
        }
        request = build_request(ConversationRequest, fields, "conversation")
        self._memory_notes.check_user(user_id)
        return Conversation(request, self, history)


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
