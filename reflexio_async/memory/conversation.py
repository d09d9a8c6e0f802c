"""A conversation with an agent: memory is recalled before a turn, and the turn is published after it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from reflexio_async.errors import InvalidRequest
from reflexio_async.memory.context import DEFAULT_MAX_CHARS
from reflexio_async.memory.messages import read_turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async._engine.outbox_call import OutboxCall
    from reflexio_async.memory.api import ConversationRequest, MemoryAPI
    from reflexio_async.memory.context import MemoryContext
    from reflexio_async.memory.messages import Turn
    from reflexio_async.reflect.presets import PresetName
    from reflexio_async.reflexio.models.interactions import (
        InteractionData,
        PublishUserInteractionResponse,
        RetrievedLearning,
    )

_MOST_COMPARED = 50  # turns, so that a long conversation of equal turns does not take quadratic time
_MAX_LEARNINGS = 1000  # of one turn (server-behaviour: Fields of a publish)


class Conversation:
    """A conversation of one user with an agent. ``client.conversation(…)`` makes it.

    ``await talk.context(query)`` recalls memory before the agent acts. ``await talk.add(messages)`` publishes
    what was said, after the agent has answered. All state is in this object, so that conversations never mix.

    The search of ``context`` does not name the session, but the publish that follows (its ``request_id``), by
    which the server connects the two. With a ``session_id`` the server would leave out what the session was
    given before. Then the best memories would be missing from every prompt but the first, and those of a
    response that was lost, or came after the timeout, from all of them.

    Attributes:
        user_id: The user.
        session_id: The session.
        agent_version: The agent's version.
        source: Where the turns come from.
    """

    def __init__(self, request: ConversationRequest, client: MemoryAPI, history: object = ()) -> None:
        self.user_id = request.user_id
        self.session_id = request.session_id
        self.agent_version = request.agent_version
        self.source = request.source
        self._client = client
        self._state = _State(tuple(turn.key for turn in read_turns(history)), uuid4().hex)
        self._memory_ids: list[str] = []
        self._interrupted: _Interrupted | None = None
        self._adding = asyncio.Lock()

    async def context(
        self,
        query: str,
        *,
        top_k: int = 5,
        threshold: float | None = None,
        timeout: float = 1.0,
        max_chars: int = DEFAULT_MAX_CHARS,
        preset: PresetName = "cold_start",
    ) -> MemoryContext:
        """Recall what may help the agent with its next answer. ``str(context)`` goes into the prompt.

        It fails open, as ``client.context``, which explains the arguments. The next ``add`` reports the
        learnings in the text, since it is taken for granted that the text goes into the prompt.

        Raises:
            InvalidRequest: An argument has an unusable value; nothing was sent.
        """
        context = await self._client.context(
            self.user_id,
            query,
            request_id=self._state.request_id,
            agent_version=self.agent_version,
            top_k=top_k,
            threshold=threshold,
            timeout=timeout,
            max_chars=max_chars,
            preset=preset,
        )
        self.report(context)
        return context

    def report(self, context: MemoryContext) -> None:
        """Have the next ``add`` report a context that was recalled elsewhere, as by ``client.context``."""
        self._memory_ids += [each for each in context.memory_ids if each not in self._memory_ids]
        if context.searched:
            self._state = self._state._replace(contexts=(*self._state.contexts, context))

    @property
    def memory_ids(self) -> list[str]:
        """The ids of the memories of Reflect in the texts of all contexts since the last publish.

        They belong in the trace of the run, as its ``retrieved_memory_ids``.
        """
        return list(self._memory_ids)

    async def add(self, messages: object) -> OutboxCall[PublishUserInteractionResponse] | None:
        """Publish the turns that are finished and were not published before, through the client's outbox.

        Call it when the agent has answered, after streaming has ended. It returns before anything is sent.

        The messages may be the whole conversation every time, or only the new ones. A call whose turns begin
        with all those that were published before (equal roles and texts, in their order) has the whole
        conversation; then all later calls are read so. The turns that are known are left out, also where the
        beginning of the conversation was cut off. Otherwise all turns are new.

        A turn of the user without an answer, and an agent that waits for a tool, wait for the next call.
        Recalled memory is left out of all texts, so that it is not learned again as the user's words.
        The agent's last turn has ``retrieved_learnings``: those in the texts of all contexts since the last
        publish. It is empty when they had none, and absent when no context was asked for, or all have failed.
        The experiment that a context reported is passed on.

        Args:
            messages: Messages of any framework that ``interactions_from`` reads.

        Returns:
            The handle of the publish. Awaiting it waits for the server. None: there was nothing to publish.

        Raises:
            InvalidRequest: These are no messages; nothing was accepted.
            StoreError: The outbox cannot be used; nothing was accepted. A later call tries it again.
        """
        turns = read_turns(messages)
        keys = [turn.key for turn in turns]
        async with self._adding:
            call = None
            if self._interrupted is not None:
                fields, repeated = self._interrupted.fields, self._interrupted.keys == keys
                call = await self._client._accept_publish("add", fields, id_is_ours=True)  # noqa: SLF001  # ours
                self._interrupted = None
                if repeated:
                    return call
            state = self._state
            new, whole = _new_turns(turns, keys, state)
            count = _finished(new)
            self._state = state._replace(whole=whole, waiting=tuple(new[count:]))
            if not count:
                return call
            return await self._publish(new, count, keys, state)

    async def _publish(
        self, new: list[Turn], count: int, keys: list[int], state: _State
    ) -> OutboxCall[PublishUserInteractionResponse]:
        """Publish the first ``count`` new turns. ``state``: to return to when that fails."""
        turns = new[:count]
        fields = self._fields(turns, state)
        known = (*state.known, *(turn.key for turn in turns))
        self._state = self._state._replace(known=known, request_id=uuid4().hex, contexts=())
        # Whether a cancelled call is accepted is not known. It is repeated with the same id, unchanged.
        self._interrupted = _Interrupted(keys, fields)
        try:
            call = await self._client._accept_publish("add", fields, id_is_ours=True)  # noqa: SLF001  # ours
        except Exception as error:
            contexts = (*state.contexts, *self._state.contexts)
            # What a server would refuse must not come back with every later call.
            waiting = state.waiting if isinstance(error, InvalidRequest) else tuple(new)
            self._state = state._replace(contexts=contexts, waiting=waiting)
            self._interrupted = None
            raise
        self._interrupted = None
        self._memory_ids = []
        self._client._identity_checks.add_turn(self.user_id, self.session_id)  # noqa: SLF001  # ours
        return call

    def _fields(self, turns: Sequence[Turn], state: _State) -> dict[str, Any]:
        interactions = [turn.interaction() for turn in turns]
        contexts = state.contexts
        if contexts:
            interactions[-1] = _with_learnings(interactions[-1], contexts)
        fields = {
            "user_id": self.user_id,
            "session_id": self.session_id,
            "agent_version": self.agent_version,
            "source": self.source or None,
            "interactions": interactions,
            "request_id": state.request_id,
        }
        experiment = contexts[-1].experiment if contexts else None
        # A later server may have other arms. It would have to take them, and this release cannot send them.
        if experiment is not None and experiment.arm in ("treatment", "holdout"):
            fields["retrieval_experiment_id"] = experiment.experiment_id
            fields["retrieval_experiment_arm"] = experiment.arm
        return fields

    def __repr__(self) -> str:
        return f"<Conversation {self.session_id!r}>"


class _State(NamedTuple):
    """Where a conversation is.

    Attributes:
        known: The turns that were published, in this object or before.
        request_id: That of the next publish.
        contexts: The contexts since the last publish that know their learnings.
        waiting: The turns that were added and are not finished.
        whole: Whether the caller passes the whole conversation. None: not known yet.
    """

    known: tuple[int, ...]
    request_id: str
    contexts: tuple[MemoryContext, ...] = ()
    waiting: tuple[Turn, ...] = ()
    whole: bool | None = None


class _Interrupted(NamedTuple):
    """A publish that was cancelled.

    Attributes:
        keys: The turns that the caller passed.
        fields: The publish.
    """

    keys: list[int]
    fields: dict[str, Any]


def _new_turns(turns: list[Turn], keys: list[int], state: _State) -> tuple[list[Turn], bool | None]:
    """Return the turns that were not published, and whether the caller passes the whole conversation."""
    known, whole = list(state.known), state.whole
    if whole is None and known:
        # If a context was asked for, something new was said: the same turns again are new.
        whole = keys[: len(known)] == known and not (state.contexts and len(keys) == len(known))
    if whole:
        return turns[_end_of_known(keys, known) :], whole
    return turns if _repeats(turns, state.waiting) else [*state.waiting, *turns], whole


def _repeats(turns: Sequence[Turn], waiting: Sequence[Turn]) -> bool:
    """Whether ``turns`` begin with the turns that wait. The last of these may have gone on."""
    if not waiting or len(turns) < len(waiting):
        return False
    *others, last = waiting
    same = turns[len(others)]
    return (
        [turn.key for turn in turns[: len(others)]] == [turn.key for turn in others]
        and same.role == last.role
        and (same.content.startswith(last.content) if last.is_of_agent else same.content == last.content)
    )


def _end_of_known(keys: list[int], known: list[int]) -> int:
    """Return where the known turns end in a conversation whose beginning may have been cut off or replaced.

    That is where the most turns equal the last of the known ones.
    """
    if keys[: len(known)] == known:
        return len(known)
    best, best_end = 0, 0
    for end in range(1, len(keys) + 1):
        equal = 0
        while equal < min(end, len(known), _MOST_COMPARED) and keys[end - 1 - equal] == known[-1 - equal]:
            equal += 1
        if equal > best:
            best, best_end = equal, end
    return best_end


def _finished(turns: Sequence[Turn]) -> int:
    """Return how many turns, from the first one, are finished. The last of them is one of the agent."""
    count = len(turns)
    if turns and turns[-1].goes_on:
        count -= 1
    while count and not turns[count - 1].is_of_agent:
        count -= 1
    return count


def _with_learnings(turn: InteractionData, contexts: Sequence[MemoryContext]) -> InteractionData:
    learnings: dict[tuple[str, str], RetrievedLearning] = {}
    for context in contexts:
        for each in context.learnings:
            learnings.setdefault((str(each.kind), each.learning_id), each)
    return turn.model_copy(update={"retrieved_learnings": list(learnings.values())[:_MAX_LEARNINGS]})
