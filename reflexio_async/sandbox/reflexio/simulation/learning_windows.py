"""Which interactions of a user learning reads next (server-behaviour: Learning windows)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from reflexio_async.sandbox.reflexio.schemas.config import LearningKind
from reflexio_async.sandbox.reflexio.store.rows import StoredInteraction, StoredRequest


class LearningWindow(NamedTuple):
    """The interactions that are read together.

    Attributes:
        interactions: All of them, oldest first: the last ones of earlier windows, then ``new``.
        new: The interactions that no window has covered yet. There is at least one.
    """

    interactions: Sequence[StoredInteraction]
    new: Sequence[StoredInteraction]


def next_window(requests: Sequence[StoredRequest], kind: LearningKind, covered: int) -> LearningWindow | None:
    """The next window over one user's requests, if it is due.

    The first window takes as many interactions as a window has. Each later one takes a stride of new ones,
    or more where it would not be full otherwise. Up to the end of a forced request or a finished session,
    fewer are enough. Size and stride are those that were configured when the first of the new interactions
    arrived.

    Args:
        requests: All requests of the user, oldest first.
        kind: What is learnt.
        covered: The id of the last interaction that a window of this kind has covered; 0 for none.
    """
    waiting = _waiting(requests, covered)
    new = [each for each in _interactions(waiting, kind) if each.interaction_id > covered]
    if not new:
        return None
    size, stride = next(
        request.windows[kind] for request in waiting if request.request_id == new[0].request_id
    )
    old = (each for each in _interactions(reversed(requests), kind, -1) if each.interaction_id <= covered)
    before = list(islice(old, size))[::-1]
    needed = max(stride, size - len(before)) if covered else size
    if (due := _due(waiting, kind)) is not None:
        new = [each for each in new if each.interaction_id <= due]
    elif len(new) < needed:
        return None
    new = new[:needed]
    return LearningWindow((before + new)[-size:], new)


def _waiting(requests: Sequence[StoredRequest], covered: int) -> list[StoredRequest]:
    """The requests with interactions after ``covered``, oldest first."""
    found: list[StoredRequest] = []
    for request in reversed(requests):
        if request.interactions:
            if request.end <= covered:
                break
            found.append(request)
    return found[::-1]


def _interactions(
    requests: Iterable[StoredRequest], kind: LearningKind, step: int = 1
) -> Iterable[StoredInteraction]:
    return (each for request in requests if kind in request.windows for each in request.interactions[::step])


def _due(waiting: Sequence[StoredRequest], kind: LearningKind) -> int | None:
    """The id of the last interaction to learn from at once, however few there are."""
    for request in waiting:
        if request.forced and kind in request.windows:
            return request.end
    sessions: set[str] = set()
    for request in waiting:
        if kind in request.windows:
            sessions.add(request.session_id)
        if request.finished and request.session_id in sessions:
            return request.end
    return None
