"""Learning without an LLM: what is learnt is what was said, as with the server's own mock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reflexio_async.sandbox.reflexio.store.rows import Status, Turn
    from reflexio_async.sandbox.reflexio.store.store import Store

_SAMPLE = 50
_HIGHLIGHT = 80
_HIGHLIGHTED = ("software", "solution", "product", "company", "service")


class Origin(NamedTuple):
    """Where a row says that it is from."""

    request_id: str
    source: str | None


def newest(turns: Iterable[Turn], size: int) -> list[Turn]:
    """The newest ``size`` of ``turns``, in the order in which a rerun reads them.

    Requests come oldest first. Those of one second come newest first, and so do the turns of a request.
    """
    requests: dict[str, list[Turn]] = {}
    for turn in sorted(turns, key=lambda turn: (-turn.created_at, -turn.interaction_id))[:size]:
        requests.setdefault(turn.request_id, []).append(turn)
    in_time = [sorted(request, key=_time) for request in requests.values()]
    return [turn for request in sorted(in_time, key=lambda request: _time(request[0])) for turn in request]


def _time(turn: Turn) -> int:
    return turn.created_at


def learn_profile(
    store: Store, user_id: str, turns: Sequence[Turn], *, status: Status, origin: Origin
) -> None:
    """Store one profile, which quotes the last of ``turns``."""
    if not turns:
        return
    sample = turns[-1].content[:_SAMPLE] or "sample interaction"
    parts = [f"User mentioned: {sample}"]
    for turn in reversed(turns):
        if any(word in turn.content.lower() for word in _HIGHLIGHTED):
            snippet = turn.content[:_HIGHLIGHT]
            if snippet not in sample:
                parts.append(f"Key context: {snippet}")
            break
    store.add_profile(user_id, " ".join(parts), turns, status=status, origin=origin)


def learn_playbook(
    store: Store, agent_version: str, turns: Sequence[Turn], *, status: Status, origin: Origin
) -> None:
    """Store one playbook, which is triggered by what the last of ``turns`` says."""
    if not turns:
        return
    preview = turns[-1].content[:_SAMPLE]
    trigger = f"user says something like '{preview}'" if preview else "similar interactions occur"
    store.add_playbook(agent_version, trigger, _evidence(store, turns), status=status, origin=origin)


def _evidence(store: Store, turns: Sequence[Turn]) -> Turn:
    """The latest of ``turns``; of requests of one second, from the one whose id sorts last."""
    began: dict[str, int] = {}
    for turn in turns:
        began[turn.request_id] = min(turn.created_at, began.get(turn.request_id, turn.created_at))

    def place(turn: Turn) -> tuple[int, int, str, int, int]:
        key = turn.request_id
        return began[key], store.requests[key].created_at, key, turn.created_at, turn.interaction_id

    return max(turns, key=place)
