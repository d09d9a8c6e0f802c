"""What the adapters share: their options, the user and session of a run, and what is sent at its end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from reflexio_async._engine.logs import fields
from reflexio_async._engine.models import build_request
from reflexio_async._engine.option_checks import positive_count, positive_seconds, true_or_false
from reflexio_async._engine.validation import did_you_mean
from reflexio_async.client import AsyncReflexioClient
from reflexio_async.errors import ConfigurationError, InvalidRequest, ReflexioError, StoreError
from reflexio_async.memory.api import ConversationRequest
from reflexio_async.memory.messages import last_run, read_turns
from reflexio_async.reflect.converters.attribute_reader import get
from reflexio_async.reflect.judge import Judge, check_judge, failed_review, judged_review
from reflexio_async.reflect.models.traces import InlineReview, TraceCreate
from reflexio_async.reflect.presets import BY_NAME
from reflexio_async.reflexio.models.search import UnifiedSearchRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from reflexio_async.memory.context import MemoryContext
    from reflexio_async.memory.conversation import Conversation
    from reflexio_async.reflect.presets import PresetName

logger = logging.getLogger("reflexio_async")

K = TypeVar("K")
V = TypeVar("V")

_OF_TALK = ("agent_version", "source")
_OF_RECALL = ("top_k", "threshold", "timeout", "max_chars", "preset")
_MAX_KEPT = 1000  # conversations, searches and turns that an adapter knows at a time
_MAX_TASK = 4000  # characters; memories are found by it, and what a user pastes may be far longer


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
        preset: How memories of Reflect are found: ``cold_start``, the default, or ``later``, when the project
            has some hundred reviewed memories.
        traces: Whether each run that was published is also sent to the client's Reflect server, as a trace
            with the memories that the run was given. False by default. It needs a ``reflect_url``.
        judge: Reviews these traces: a function of the task and the answer, as ``client.reflect.trace`` takes
            it. It runs in the background, after the answer. With a judge, ``traces`` is True.
    """

    user_id: str | None
    session_id: str | None
    agent_version: str
    source: str
    top_k: int
    threshold: float | None
    timeout: float
    max_chars: int
    preset: PresetName
    traces: bool
    judge: Judge | None


class AgentMemory:
    """A client with the options of an adapter.

    Args:
        client: The client.
        ids_in: Where a run of the framework can name its user and its session, for messages; empty: nowhere.
        options: The options.

    Attributes:
        client: The client.
        options: The options.

    Raises:
        ConfigurationError: ``client`` is no ``AsyncReflexioClient``; or there is no such option; or its value
            is unusable; or traces are wanted without a Reflect server.
        InvalidRequest: The judge is no function of a task and an answer.
    """

    def __init__(
        self, client: AsyncReflexioClient, ids_in: str = "", **options: Unpack[MemoryOptions]
    ) -> None:
        _check_client(client)
        known = MemoryOptions.__annotations__
        for name in options:
            if name not in known:
                message = f"there is no option {name}{did_you_mean(name, known)}"
                raise ConfigurationError(message)
        self.client = client
        self.options = options
        self._ids_in = ids_in
        values: dict[str, Any] = {**options}
        self._of_recall = {name: values[name] for name in _OF_RECALL if name in values}
        self._of_talk = {name: values[name] for name in _OF_TALK if name in values}
        _check_values(options, self._of_recall, self._of_talk)
        self._judge = options.get("judge")
        check_judge("judge", self._judge)
        self._traces = self._judge is not None or options.get("traces", False)
        if self._traces and not client._reflect_server.is_given:  # noqa: SLF001  # ours
            message = "traces and judge need a Reflect server: give the client a reflect_url"
            raise ConfigurationError(message)
        self._conversations: dict[tuple[str, str], Conversation] = {}

    def conversation(self, *run: object) -> Conversation:
        """Return a new conversation with the user and the session of a run.

        Args:
            run: Objects or mappings that may have them, the first ones first: as ``user_id``, and as
                ``session_id``, ``thread_id`` or ``conversation_id``.

        Raises:
            InvalidRequest: Neither the run nor the options name the user, or the session.
        """
        user_id = _first(run, "user_id") or self.options.get("user_id")
        session_id = _first(run, "session_id", "thread_id", "conversation_id")
        session_id = session_id or self.options.get("session_id")
        if not user_id or not session_id:
            missing = "session_id" if user_id else "user_id"
            message = f"the run has no {missing}: give the option {missing}"
            if self._ids_in:
                message = (
                    f"the run has no {missing}: put it into {self._ids_in}, or give the option {missing}"
                )
            raise InvalidRequest(message)
        return self.client.conversation(user_id=user_id, session_id=session_id, **self._of_talk)

    def session(self, *run: object) -> Conversation:
        """Return the conversation of a session: the same one until it has published, then a new one."""
        talk = self.conversation(*run)
        key = (talk.user_id, talk.session_id)
        talk = self._conversations.get(key, talk)
        keep(self._conversations, key, talk)
        return talk

    async def recall(self, talk: Conversation, query: str) -> MemoryContext:
        """Recall what may help with the next answer. It fails open, as ``Conversation.context``."""
        return await talk.context(query, **self._of_recall)

    async def publish(self, talk: Conversation, messages: object) -> bool:
        """Do as ``add``. An error is logged: the agent's answer comes first."""
        try:
            return await self.add(talk, messages)
        except ReflexioError as error:
            _log("a turn was not published", error)
            return False

    async def add(self, talk: Conversation, messages: object) -> bool:
        """Publish the turns of runs that have ended, and send the trace of the last one.

        A turn that ends with what a tool returned is finished. A turn with a tool that has not returned is
        not: it waits for an approval, or for another process.

        Returns:
            Whether all turns were finished, and are accepted.

        Raises:
            InvalidRequest: These are no messages; nothing was accepted.
            StoreError: The outbox cannot be used; nothing was accepted.
        """
        turns = read_turns(messages)
        if turns and turns[-1].open_calls:
            turns.pop()
        finished = bool(turns) and turns[-1].is_of_agent
        memory_ids = talk.memory_ids
        if await talk.add([turn.interaction() for turn in turns]) is None:
            return False
        if finished:
            self._conversations.pop((talk.user_id, talk.session_id), None)
        await self._trace(talk, messages, memory_ids)
        return finished

    async def failed(self, talk: Conversation, messages: object, error: Exception) -> None:
        """Send the trace of a run that ``error`` has ended, as failed. Nothing is published."""
        await self._trace(talk, messages, talk.memory_ids, error)

    async def _trace(
        self, talk: Conversation, messages: object, memory_ids: Sequence[str], error: Exception | None = None
    ) -> None:
        if not self._traces:
            return
        try:
            task, trajectory = last_run(messages)
            if not task.strip():  # a trace without a task could only be found by mistake
                return
            fields = {
                "task": task[:_MAX_TASK],
                "trajectory": trajectory,
                "retrieved_memory_ids": memory_ids,
                "metadata": {"session_id": talk.session_id, "agent_version": talk.agent_version},
            }
            trace = build_request(TraceCreate, fields, "trace")
            if error is not None:
                await self._send(trace, failed_review(trace, error))
            elif self._judge is None:
                await self._send(trace, None)
            else:
                # The agent's answer does not wait for the judge. Closing the client does.
                self.client._engine.tasks.call(self._send_judged(self._judge, trace), what="a trace")  # noqa: SLF001  # ours
        except ReflexioError as failure:
            _log("a trace was not sent", failure)

    async def _send_judged(self, judge: Judge, trace: TraceCreate) -> None:
        review = None
        try:
            review = await judged_review(judge, trace)
        except Exception as error:  # noqa: BLE001  # the trace is sent without a review
            self.client._engine.tasks.report("the judge of a trace", error)  # noqa: SLF001  # ours
        await self._send(trace, review)

    async def _send(self, trace: TraceCreate, review: InlineReview | None) -> None:
        if review is not None:
            trace = trace.model_copy(update={"review": review})
        await self.client.reflect.create_trace_later(trace)


def keep(kept: dict[K, V], key: K, value: V) -> None:
    """Set a value. Only the last 1,000 that were set are kept."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > _MAX_KEPT:
        del kept[next(iter(kept))]


def begin_of_turn(roles: Sequence[str]) -> int:
    """Return where the last turn begins: with the user's messages that the agent has not answered before.

    Args:
        roles: For each message, ``user``; or ``answer``, if it is of an agent and calls no tool; or anything
            else. After an answer of another agent, a new turn begins, without a message of the user.
    """
    if roles and roles[-1] == "answer":
        return len(roles)
    last = max((at for at, role in enumerate(roles) if role == "user"), default=0)
    return max((at + 1 for at, role in enumerate(roles[:last]) if role != "user"), default=0)


def _check_client(client: object) -> None:
    if not isinstance(client, AsyncReflexioClient):
        found = f"the class {client.__name__}" if isinstance(client, type) else type(client).__name__
        message = f"client must be an AsyncReflexioClient, not {found}"
        raise ConfigurationError(message)


def _check_values(options: Mapping[str, Any], of_recall: dict[str, Any], of_talk: dict[str, Any]) -> None:
    """Raise ConfigurationError for values that no run could use."""
    search: dict[str, Any] = {name: of_recall[name] for name in ("top_k", "threshold") if name in of_recall}
    who = {name: options.get(name) or "of the run" for name in ("user_id", "session_id")}
    try:
        build_request(UnifiedSearchRequest, {"query": "", **search})
        build_request(ConversationRequest, {**who, **of_talk})
        if "timeout" in options:
            positive_seconds("timeout", options["timeout"])
        if "max_chars" in options:
            positive_count("max_chars", options["max_chars"])
        if "traces" in options:
            true_or_false("traces", options["traces"])
    except InvalidRequest as error:
        raise ConfigurationError(str(error)) from None
    if options.get("preset", "cold_start") not in list(BY_NAME):
        message = f"preset must be 'cold_start' or 'later', not {options['preset']!r:.40}"
        raise ConfigurationError(message)


def _log(what: str, error: ReflexioError) -> None:
    # The text of other errors may have what was said.
    reason = str(error) if isinstance(error, StoreError) else type(error).__name__
    logger.error("%s: %s", what, reason, extra=fields("agent_memory_failed", error))


def _first(run: tuple[object, ...], *names: str) -> str | None:
    """Return the first of the values that is a text. A number, such as a key of a database, becomes one."""
    for source in run:
        for name in names:
            value = get(source, name)
            if value is not None and value != "":
                return str(value)
    return None
