"""Learning after a publish: windows of a user's interactions fill up or are forced, and are worked off."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.reflexio.schemas.config import LEARNING_KINDS, LearningKind
from reflexio_async.sandbox.reflexio.simulation.extraction import RowOrigin, learn_playbook, learn_profile
from reflexio_async.sandbox.reflexio.simulation.learning_windows import LearningWindow, next_window
from reflexio_async.sandbox.reflexio.store.configuration import Configuration
from reflexio_async.sandbox.reflexio.store.rows import StoredRequest
from reflexio_async.sandbox.reflexio.store.store import ReflexioStore
from reflexio_async.sandbox.storage.tables import Row, Table


@dataclass(frozen=True, slots=True)
class LearningCursor(Row):
    """The id of the last interaction of a user that a window of one kind has covered."""

    user_id: str
    kind: LearningKind
    covered: int


@dataclass(slots=True)
class _LearningRound:
    """One window per kind that is due, worked off at the same time."""

    began: float
    windows: Mapping[LearningKind, LearningWindow]
    over: asyncio.Future[None]


class Learner:
    """Opens learning windows, and knows how far learning from each request has come.

    Args:
        seconds: The work of one window.
        cursors: By user and kind.
    """

    def __init__(
        self,
        clock: Clock,
        store: ReflexioStore,
        configuration: Configuration,
        seconds: float,
        cursors: Table[tuple[str, str], LearningCursor],
    ) -> None:
        self._clock = clock
        self._store = store
        self._configuration = configuration
        self._seconds = seconds
        self._cursors = cursors
        self._rounds: dict[str, _LearningRound] = {}

    def resume(self) -> None:
        """Open the windows again that were open when the file was written."""
        for user_id in self._store.users():
            self._begin(user_id)

    def admit(
        self, request: StoredRequest, *, forced: bool = False, finished: bool = False, stalled: bool = False
    ) -> None:
        """Learn from a stored request once a window with it is due.

        Args:
            request: The request.
            forced: Learn from everything up to this request now.
            finished: The session is over, so learn from everything up to this request now.
            stalled: Learning has stopped, so nothing is ever learnt from this request.
        """
        request.tracked, request.forced, request.finished = True, forced, finished
        if not (request.evaluation_only or stalled):
            request.windows = self._configuration.current.windows(request.source)
        self._begin(request.user_id)

    def finish(self, user_id: str, session_id: str) -> bool:
        """Learn from everything in a session of the user. False when there is no such session."""
        for request in reversed(self._store.requests_by_user.get(user_id, ())):
            if request.session_id == session_id:
                request.finished = True
                self._begin(user_id)
                return True
        return False

    def status(self, request: StoredRequest) -> tuple[str, str]:
        """The status of learning and its reason. The second half of a window's work is "processing"."""
        if not request.tracked:
            return "not_tracked", "before_cutover"
        if not request.interactions:
            return "done", "inputs_erased"
        uncovered = [kind for kind in request.windows if self._covered(request.user_id, kind) < request.end]
        if not uncovered:
            return "done", "covered" if request.windows else "not_applicable"
        current = self._rounds.get(request.user_id)
        if current is None or current.windows.keys().isdisjoint(uncovered):
            return "pending", "waiting_for_window"
        if self._clock.now() - current.began < self._seconds / 2:
            return "pending", "queued"
        return "processing", "extracting"

    def progress(self, request: StoredRequest) -> asyncio.Future[None] | None:
        """Done when learning from a request has advanced. None while it is not under way."""
        under_way = self.status(request)[1] in {"queued", "extracting"}
        return self._rounds[request.user_id].over if under_way else None

    def _covered(self, user_id: str, kind: LearningKind) -> int:
        cursor = self._cursors.get((user_id, kind))
        return 0 if cursor is None else cursor.covered

    def _begin(self, user_id: str) -> None:
        if user_id in self._rounds:
            return
        requests = self._store.requests_by_user.get(user_id, ())
        windows: dict[LearningKind, LearningWindow] = {}
        for kind in LEARNING_KINDS:
            if (window := next_window(requests, kind, self._covered(user_id, kind))) is not None:
                windows[kind] = window
        if windows:
            now = self._clock.now()
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._rounds[user_id] = _LearningRound(now, windows, over)
            self._clock.call_at(now + self._seconds, lambda: self._end(user_id))

    def _end(self, user_id: str) -> None:
        current = self._rounds.pop(user_id)
        for kind, window in current.windows.items():
            # After a deletion meanwhile, the next round opens the window again.
            if all(map(self._store.has, window.interactions)):
                self._learn(kind, window)
        self._begin(user_id)
        current.over.set_result(None)

    def _learn(self, kind: LearningKind, window: LearningWindow) -> None:
        last = window.new[-1]
        request = self._store.requests[last.request_id]
        read, origin = window.interactions, RowOrigin(request.request_id, request.source)
        if kind == "profile":
            learn_profile(self._store, request.user_id, read, status=None, origin=origin)
        else:
            learn_playbook(self._store, request.agent_version, read, status=None, origin=origin)
        for request_id in {each.request_id for each in window.new}:
            covered = self._store.requests[request_id]
            covered.learnt = {**covered.learnt, kind: covered.learnt.get(kind, 0) + 1}
        self._cursors[request.user_id, kind] = LearningCursor(request.user_id, kind, last.interaction_id)
