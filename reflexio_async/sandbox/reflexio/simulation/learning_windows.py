"""Which of a user's turns learning reads next."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reflexio_async.sandbox.reflexio.kinds import Kind
    from reflexio_async.sandbox.reflexio.store.rows import StoredRequest, Turn


class Window(NamedTuple):
    """What is read at once."""

    turns: Sequence[Turn]
    """All of it, in the order in which it came: the last ones of earlier windows, then ``new``."""
    new: Sequence[Turn]
    """What no window has covered yet; never empty."""


def next_window(requests: Sequence[StoredRequest], kind: Kind, covered: int) -> Window | None:
    """The next window over one user's ``requests``, oldest first, if it is due.

    The first takes as many turns as a window has. Each further one takes a stride of new ones, or more where
    with those before it it would not be full. Up to the end of what was forced or finished, fewer will do.
    How wide windows are was settled when the first of the new turns came.

    Args:
        requests: All that the user has published and not deleted.
        kind: Of what is learnt.
        covered: The id of the last turn that a window of this kind has covered; 0 when there was none.
    """
    waiting = _waiting(requests, covered)
    new = [turn for turn in _turns(waiting, kind) if turn.interaction_id > covered]
    if not new:
        return None
    size, stride = next(
        request.windows[kind] for request in waiting if request.request_id == new[0].request_id
    )
    old = (turn for turn in _turns(reversed(requests), kind, -1) if turn.interaction_id <= covered)
    before = list(islice(old, size))[::-1]
    needed = max(stride, size - len(before)) if covered else size
    if (barrier := _barrier(waiting, kind)) is not None:
        new = [turn for turn in new if turn.interaction_id <= barrier]
    elif len(new) < needed:
        return None
    new = new[:needed]
    return Window((before + new)[-size:], new)


def _waiting(requests: Sequence[StoredRequest], covered: int) -> list[StoredRequest]:
    """Those with turns past ``covered``, oldest first."""
    found: list[StoredRequest] = []
    for request in reversed(requests):
        if request.turns:
            if request.end <= covered:
                break
            found.append(request)
    return found[::-1]


def _turns(requests: Iterable[StoredRequest], kind: Kind, step: int = 1) -> Iterable[Turn]:
    return (turn for request in requests if kind in request.windows for turn in request.turns[::step])


def _barrier(waiting: Sequence[StoredRequest], kind: Kind) -> int | None:
    """The id of the last turn to learn from at once, however few they are."""
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
