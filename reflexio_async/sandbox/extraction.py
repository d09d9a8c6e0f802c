"""Learning without an LLM: what is learnt is what was said, as with the server's own mock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.sandbox.state import Store
    from reflexio_async.sandbox.stored import Status, Turn

_SAMPLE = 50
_HIGHLIGHT = 80
_HIGHLIGHTED = ("software", "solution", "product", "company", "service")


class Origin(NamedTuple):
    """Where a row says that it is from."""

    request_id: str
    source: str | None


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
    """Store one playbook: triggered by the oldest of ``turns``, evidenced by the newest."""
    if not turns:
        return
    ordered = sorted(turns, key=lambda turn: turn.interaction_id)
    trigger = f"user says something like '{ordered[0].content}'"
    store.add_playbook(agent_version, trigger, ordered[-1], status=status, origin=origin)
