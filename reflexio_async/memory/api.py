"""Memory for an agent: what is known goes into its prompt, and what was said is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from reflexio_async._engine.models import (
    NotBlank,
    RequestModel,
    SourceName,
    build_request,
    drop_none,
    invalid,
)
from reflexio_async._engine.option_checks import positive_count, positive_seconds
from reflexio_async.errors import InvalidRequest
from reflexio_async.memory.context import MemoryContext
from reflexio_async.memory.recall import recall
from reflexio_async.reflect.presets import BY_NAME, PresetName
from reflexio_async.reflexio.api.outbox import OutboxAPI
from reflexio_async.reflexio.api.search import SearchAPI
from reflexio_async.reflexio.models.interactions import DEFAULT_AGENT_VERSION
from reflexio_async.reflexio.models.search import UnifiedSearchRequest

if TYPE_CHECKING:
    from reflexio_async._engine.ignored_errors import IgnoredErrors
    from reflexio_async.memory.conversation import Conversation
    from reflexio_async.memory.identity import IdentityChecks
    from reflexio_async.reflect.client import AsyncReflectClient
    from reflexio_async.reflect.service import ReflectServer

_MAX_QUERY = 4000  # characters; what a user pastes into a message may be far longer than what it is about


class ConversationRequest(RequestModel, title="conversation"):
    """Names one conversation."""

    user_id: Annotated[NotBlank, Field(max_length=255)]
    session_id: NotBlank
    agent_version: Annotated[str, Field(max_length=1000)] = DEFAULT_AGENT_VERSION
    source: SourceName = ""


class MemoryAPI(OutboxAPI, SearchAPI):
    """Memory for an agent: recalled before a turn, published after it."""

    _reflect_server: ReflectServer
    _identity_checks: IdentityChecks
    _recall_errors: IgnoredErrors

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
        preset: PresetName = "cold_start",
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
            max_chars: The most characters of the text. The best items are taken first; those that do not fit
                are left out.
            preset: How memories of Reflect are found: with the values of ``presets.COLD_START``, or with
                ``later`` those of ``presets.LATER``, for a project with some hundred reviewed memories.
                ``client.reflect.learning_report()`` says which ones fit.

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
        if preset not in BY_NAME:
            message = f"context: preset must be 'cold_start' or 'later', not {preset!r:.40}"
            raise InvalidRequest(message)
        self._identity_checks.check_user(user_id)
        self._engine.loops.check()
        if not query:
            return MemoryContext(max_chars=max_chars)
        client = self._with_settings(self._strict_settings())
        found, memories, error = await recall(client, search, timeout, preset)
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
            source: Where the turns come from: lower case letters, digits and ``. _ : -``. It does not limit
                what is recalled.
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
        self._identity_checks.check_user(user_id)
        return Conversation(request, self, history)
