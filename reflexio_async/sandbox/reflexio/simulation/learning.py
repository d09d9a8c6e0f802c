"""Learning after a publish: windows of a user's turns fill up, or are forced, and are worked off in turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reflexio_async.sandbox.reflexio.kinds import KINDS
from reflexio_async.sandbox.reflexio.simulation.extraction import Origin, learn_playbook, learn_profile
from reflexio_async.sandbox.reflexio.simulation.learning_windows import next_window
from reflexio_async.sandbox.storage.tables import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.reflexio.kinds import Kind
    from reflexio_async.sandbox.reflexio.simulation.learning_windows import Window
    from reflexio_async.sandbox.reflexio.store.configuration import Configuration
    from reflexio_async.sandbox.reflexio.store.rows import StoredRequest
    from reflexio_async.sandbox.reflexio.store.store import Store
    from reflexio_async.sandbox.storage.tables import Table

_WAITING: Final = ("pending", "waiting_for_window")


@dataclass(frozen=True, slots=True)
class Cursor(Row):
    """How far learning of one kind has come with one user."""

    user_id: str
    kind: Kind
    covered: int
    """The id of the last turn that a window has covered."""


@dataclass(slots=True)
class _Round:
    """A window of each kind that has one due, worked off at the same time."""

    began: float
    windows: Mapping[Kind, Window]
    over: asyncio.Future[None]


class Learning:
    """Opens windows, and says for every request how far learning has come; ``seconds`` is a window's work."""

    def __init__(
        self,
        clock: Clock,
        store: Store,
        configuration: Configuration,
        seconds: float,
        cursors: Table[tuple[str, str], Cursor],
    ) -> None:
        self._clock = clock
        self._store = store
        self._configuration = configuration
        self._seconds = seconds
        self._cursors = cursors
        self._rounds: dict[str, _Round] = {}

    def resume(self) -> None:
        """Begin anew with the windows that were open when everything was kept."""
        for user_id in self._store.users():
            self._begin(user_id)

    def admit(
        self, request: StoredRequest, *, forced: bool = False, finished: bool = False, stalled: bool = False
    ) -> None:
        """Take a stored request into its user's windows, and open those that are due.

        ``forced`` and ``finished`` ask for all that was said so far. While learning has ``stalled``, nothing
        is ever learnt from what comes.
        """
        request.tracked, request.forced, request.finished = True, forced, finished
        if not (request.evaluation_only or stalled):
            request.windows = self._configuration.current.windows(request.source)
        self._begin(request.user_id)

    def finish(self, user_id: str, session_id: str) -> bool:
        """Ask for all that was said so far in a session of the user; whether there is one."""
        for request in reversed(self._store.requests_by_user.get(user_id, ())):
            if request.session_id == session_id:
                request.finished = True
                self._begin(user_id)
                return True
        return False

    def status(self, request: StoredRequest) -> tuple[str, str]:
        """The status and its reason: pending, processing in the second half of a window's work, done."""
        if not request.tracked:
            return "not_tracked", "before_cutover"
        if not request.turns:
            return "done", "inputs_erased"
        uncovered = [kind for kind in request.windows if self._covered(request.user_id, kind) < request.end]
        if not uncovered:
            return "done", "covered" if request.windows else "not_applicable"
        current = self._rounds.get(request.user_id)
        if current is None or current.windows.keys().isdisjoint(uncovered):
            return _WAITING
        if self._clock.now() - current.began < self._seconds / 2:
            return "pending", "queued"
        return "processing", "extracting"

    def news(self, request: StoredRequest) -> asyncio.Future[None] | None:
        """Done when learning from a request has come further; None while it is not under way."""
        under_way = self.status(request)[1] in {"queued", "extracting"}
        return self._rounds[request.user_id].over if under_way else None

    def _covered(self, user_id: str, kind: Kind) -> int:
        cursor = self._cursors.get((user_id, kind))
        return 0 if cursor is None else cursor.covered

    def _begin(self, user_id: str) -> None:
        if user_id in self._rounds:
            return
        requests = self._store.requests_by_user.get(user_id, ())
        windows: dict[Kind, Window] = {}
        for kind in KINDS:
            if (window := next_window(requests, kind, self._covered(user_id, kind))) is not None:
                windows[kind] = window
        if windows:
            now = self._clock.now()
            self._rounds[user_id] = _Round(now, windows, asyncio.get_running_loop().create_future())
            self._clock.call_at(now + self._seconds, lambda: self._end(user_id))

    def _end(self, user_id: str) -> None:
        current = self._rounds.pop(user_id)
        for kind, window in current.windows.items():
            # Where something was deleted meanwhile, the window is drawn anew.
            if all(map(self._store.holds, window.turns)):
                self._learn(kind, window)
        self._begin(user_id)
        current.over.set_result(None)

    def _learn(self, kind: Kind, window: Window) -> None:
        last = window.new[-1]
        request = self._store.requests[last.request_id]
        origin = Origin(request.request_id, request.source)
        if kind == "profile":
            learn_profile(self._store, request.user_id, window.turns, status=None, origin=origin)
        else:
            learn_playbook(self._store, request.agent_version, window.turns, status=None, origin=origin)
        for request_id in {turn.request_id for turn in window.new}:
            each = self._store.requests[request_id]
            each.learnt = {**each.learnt, kind: each.learnt.get(kind, 0) + 1}
        self._cursors[request.user_id, kind] = Cursor(request.user_id, kind, last.interaction_id)
