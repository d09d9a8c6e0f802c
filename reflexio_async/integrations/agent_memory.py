"""What the adapters share: their options, and who speaks in which session in a run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypedDict

from reflexio_async.errors import InvalidRequest, ReflexioError, StoreError
from reflexio_async.memory.context import DEFAULT_MAX_CHARS
from reflexio_async.reflect.converters.attribute_reader import get
from reflexio_async.reflexio.models.interactions import DEFAULT_AGENT_VERSION

if TYPE_CHECKING:
    from typing import Unpack

    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.memory.context import MemoryContext
    from reflexio_async.memory.conversation import Conversation

logger = logging.getLogger("reflexio_async")


class MemoryOptions(TypedDict, total=False):
    """The options of every adapter.

    Attributes:
        user_id: The user of a run that names none.
        session_id: The session of a run that names none.
        agent_version: The agent's version. Playbooks are learned and recalled per version.
        source: Where the turns come from: lower case letters, digits and ``. _ : -``.
        top_k: The most results of each kind. 5 by default.
        threshold: The minimum similarity, 0 to 1. None, the default: the server's.
        timeout: Seconds after which the agent goes on without memory. 1 by default.
        max_chars: The most characters that are recalled. 6000 by default.
    """

    user_id: str | None
    session_id: str | None
    agent_version: str
    source: str
    top_k: int
    threshold: float | None
    timeout: float
    max_chars: int


class AgentMemory:
    """A client with the options of an adapter.

    Attributes:
        client: The client.
        options: The options.
    """

    def __init__(self, client: AsyncReflexioClient, **options: Unpack[MemoryOptions]) -> None:
        self.client = client
        self.options = options

    def conversation(self, *run: object, history: object = ()) -> Conversation:
        """Return a conversation with the user and the session of a run.

        Args:
            run: Objects or mappings that may have them, the first ones first: as ``user_id``, and as
                ``session_id``, ``thread_id`` or ``conversation_id``.
            history: Messages of the session that were published before.

        Raises:
            InvalidRequest: Neither the run nor the options name the user, or the session.
        """
        user_id = _first(run, "user_id") or self.options.get("user_id")
        session_id = _first(run, "session_id", "thread_id", "conversation_id")
        session_id = session_id or self.options.get("session_id")
        if not user_id or not session_id:
            missing = "session_id" if user_id else "user_id"
            message = (
                f"the run has no {missing}: put it into the context of the run, or give a fixed {missing}"
            )
            raise InvalidRequest(message)
        return self.client.conversation(
            user_id=user_id,
            session_id=session_id,
            agent_version=self.options.get("agent_version", DEFAULT_AGENT_VERSION),
            source=self.options.get("source", ""),
            history=history,
        )

    async def recall(self, talk: Conversation, query: str) -> MemoryContext:
        """Recall what may help with the next answer. It fails open, as ``Conversation.context``."""
        return await talk.context(
            query,
            top_k=self.options.get("top_k", 5),
            threshold=self.options.get("threshold"),
            timeout=self.options.get("timeout", 1.0),
            max_chars=self.options.get("max_chars", DEFAULT_MAX_CHARS),
        )

    async def publish(self, talk: Conversation, messages: object) -> None:
        """Publish the turns that are finished and new. An error is logged: the agent's answer comes first."""
        try:
            await talk.add(messages)
        except ReflexioError as error:
            # The text of other errors may have what was said.
            reason = str(error) if isinstance(error, StoreError) else type(error).__name__
            logger.error("a turn was not published: %s", reason)  # noqa: TRY400  # as above


def _first(run: tuple[object, ...], *names: str) -> str | None:
    """Return the first of the values that is a text. A number, such as a key of a database, becomes one."""
    for source in run:
        for name in names:
            value = get(source, name)
            if value is not None and value != "":
                return str(value)
    return None
