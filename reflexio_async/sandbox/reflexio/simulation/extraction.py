"""Extraction without a language model: learnings quote the user, as with the server's own mock."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from reflexio_async.sandbox.reflexio.store.rows import (
    Status,
    StoredInteraction,
    StoredProfile,
    StoredUserPlaybook,
)
from reflexio_async.sandbox.reflexio.store.store import ReflexioStore

_MONTH: Final = 30 * 24 * 3600
_SAMPLE: Final = 50
_HIGHLIGHT: Final = 80
_HIGHLIGHTED: Final = ("software", "solution", "product", "company", "service")
_RATIONALE: Final = "The referenced turn contains the task signal used to construct this mock rule."


class RowOrigin(NamedTuple):
    """The request and the source that a learnt row names."""

    request_id: str
    source: str | None


def newest(interactions: Iterable[StoredInteraction], size: int) -> list[StoredInteraction]:
    """The newest ``size`` interactions, in the order in which a rerun reads them.

    Requests come oldest first. Those of one second come newest first, and so do the interactions of one
    request (server-behaviour: Learning windows).
    """
    requests: dict[str, list[StoredInteraction]] = {}
    for each in sorted(interactions, key=lambda each: (-each.created_at, -each.interaction_id))[:size]:
        requests.setdefault(each.request_id, []).append(each)
    in_time = [sorted(request, key=_time) for request in requests.values()]
    return [each for request in sorted(in_time, key=lambda request: _time(request[0])) for each in request]


def _time(interaction: StoredInteraction) -> int:
    return interaction.created_at


def learn_profile(
    store: ReflexioStore,
    user_id: str,
    interactions: Sequence[StoredInteraction],
    *,
    status: Status,
    origin: RowOrigin,
) -> None:
    """Store a profile that quotes the last of ``interactions``. Does nothing without any."""
    if not interactions:
        return
    sample = interactions[-1].content[:_SAMPLE] or "sample interaction"
    parts = [f"User mentioned: {sample}"]
    for each in reversed(interactions):
        if any(word in each.content.lower() for word in _HIGHLIGHTED):
            snippet = each.content[:_HIGHLIGHT]
            if snippet not in sample:
                parts.append(f"Key context: {snippet}")
            break
    now = store.now
    profile = StoredProfile(
        profile_id=str(uuid.uuid4()),
        user_id=user_id,
        content=" ".join(parts),
        created_at=now,
        last_modified_timestamp=now,
        generated_from_request_id=origin.request_id,
        status=status,
        source_interaction_ids=[each.interaction_id for each in interactions],
        profile_time_to_live="one_month",
        expiration_timestamp=now + _MONTH,
        source=origin.source or "",
    )
    store.add_profile(profile)


def learn_playbook(
    store: ReflexioStore,
    agent_version: str,
    interactions: Sequence[StoredInteraction],
    *,
    status: Status,
    origin: RowOrigin,
) -> None:
    """Store a user playbook whose trigger quotes the last of ``interactions``. Does nothing without any."""
    if not interactions:
        return
    preview = interactions[-1].content[:_SAMPLE]
    trigger = f"user says something like '{preview}'" if preview else "similar interactions occur"
    content = f"When {trigger}, improve by adjusting the current approach."
    evidence = _evidence(store, interactions)
    playbook = StoredUserPlaybook(
        user_id=evidence.user_id,
        agent_version=agent_version,
        request_id=origin.request_id,
        created_at=store.now,
        trigger=trigger,
        source=origin.source,
        source_span=evidence.content,
        status=status,
        source_interaction_ids=[evidence.interaction_id],
        content=content,
        rationale=_RATIONALE,
    )
    store.add_playbook(playbook)


def _evidence(store: ReflexioStore, interactions: Sequence[StoredInteraction]) -> StoredInteraction:
    """The latest interaction. Of requests of one second, from the one whose id sorts last."""
    began: dict[str, int] = {}
    for each in interactions:
        began[each.request_id] = min(each.created_at, began.get(each.request_id, each.created_at))

    def order(each: StoredInteraction) -> tuple[int, int, str, int, int]:
        key = each.request_id
        return began[key], store.requests[key].created_at, key, each.created_at, each.interaction_id

    return max(interactions, key=order)
