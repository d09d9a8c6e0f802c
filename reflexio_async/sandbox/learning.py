"""Learning after a publish: a window of interactions fills up, or is forced, and is worked off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from reflexio_async.sandbox.extraction import Origin, learn_playbook, learn_profile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reflexio_async.core.clock import Clock
    from reflexio_async.sandbox.state import Store
    from reflexio_async.sandbox.stored import StoredRequest

WINDOW: Final = 10
"""Interactions of one user that make the first window; each further one needs ``STRIDE``."""
STRIDE: Final = 8


@dataclass(slots=True)
class _Backlog:
    """The requests of one user that no window covers yet."""

    requests: list[StoredRequest] = field(default_factory=list["StoredRequest"])
    windows: int = 0


NOT_APPLICABLE: Final = "not_applicable"
COVERED: Final = "covered"


class Learning:
    """Says for every request how far learning has come; ``seconds`` is the work of one window."""

    def __init__(self, clock: Clock, store: Store, seconds: float) -> None:
        self._clock = clock
        self._store = store
        self._seconds = seconds
        self._backlogs: dict[str, _Backlog] = {}
        self._started: dict[str, float] = {}

    def resume(self) -> None:
        """Take up the requests that were read back; windows that were open begin anew."""
        opened: dict[str, list[StoredRequest]] = {}
        for request in self._store.requests.values():
            if request.learning in {"", NOT_APPLICABLE}:
                continue
            backlog = self._backlogs.setdefault(request.user_id, _Backlog())
            if request.learning == "waiting":
                backlog.requests.append(request)
            else:
                backlog.windows = 1
            if request.learning == "open":
                opened.setdefault(request.user_id, []).append(request)
        for requests in opened.values():
            self._work_on(requests)

    def admit(self, request: StoredRequest, *, forced: bool) -> None:
        """Take a stored request into the user's backlog, and open a window when it is due."""
        if request.evaluation_only:
            request.learning = NOT_APPLICABLE
            return
        request.learning = "waiting"
        backlog = self._backlogs.setdefault(request.user_id, _Backlog())
        backlog.requests.append(request)
        waiting = sum(len(waiting.turns) for waiting in backlog.requests)
        if forced or waiting >= (STRIDE if backlog.windows else WINDOW):
            self._open(backlog)

    def status(self, request_id: str) -> tuple[str, str]:
        """The status and its reason: pending, processing in the second half of the work, done."""
        request = self._store.requests.get(request_id)
        if request is not None and request.learning in {NOT_APPLICABLE, COVERED}:
            return "done", request.learning
        if (started := self._started.get(request_id)) is None:
            return "pending", "waiting_for_window"
        if self._clock.now() - started < self._seconds / 2:
            return "pending", "queued"
        return "processing", "extracting"

    def remaining(self, request_id: str) -> float | None:
        """Seconds until done; None when no window is open for it."""
        if (started := self._started.get(request_id)) is None:
            return None
        return max(0.0, started + self._seconds - self._clock.now())

    def forget(self, request_ids: Iterable[str]) -> None:
        """Leave deleted requests out of the windows to come."""
        gone = set(request_ids)
        for backlog in self._backlogs.values():
            backlog.requests = [request for request in backlog.requests if request.request_id not in gone]
        for request_id in gone:
            self._started.pop(request_id, None)

    def _open(self, backlog: _Backlog) -> None:
        requests, backlog.requests = backlog.requests, []
        backlog.windows += 1
        for request in requests:
            request.learning = "open"
        self._work_on(requests)

    def _work_on(self, requests: list[StoredRequest]) -> None:
        now = self._clock.now()
        for request in requests:
            self._started[request.request_id] = now
        self._clock.call_at(now + self._seconds, lambda: self._cover(requests))

    def _cover(self, requests: list[StoredRequest]) -> None:
        requests = [
            request for request in requests if self._store.requests.get(request.request_id) is request
        ]
        if not requests:
            return
        last = requests[-1]
        turns = [turn for request in requests for turn in request.turns]
        into, origin = self._store, Origin(last.request_id, last.source)
        learn_profile(into, last.user_id, turns, status=None, origin=origin)
        learn_playbook(into, last.agent_version, turns, status=None, origin=origin)
        for request in requests:
            self._started.pop(request.request_id, None)
            request.learning = COVERED
