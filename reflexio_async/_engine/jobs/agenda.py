"""What is due when, for very many entries at almost no cost each.

Waits come in few lengths (an interval, a timeout), and those of one length fall due in the order in which
they began. So there is one line per length, linked through its entries, with one timer for its head:
two pointers an entry where a heap or a timer of its own would take hundreds of bytes, and an entry leaves
at once, wherever it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reflexio_async._engine.clock import Clock, Timer


class Entry(Protocol):
    """What stands in a line; ``line`` is None while it stands in none."""

    line: Any
    previous: Any
    following: Any

    @property
    def due(self) -> float:
        """When, by the clock; read while it stands in its line, whose ``length`` it may be made of."""
        ...

    def fall_due(self) -> None:
        """Its time has come; it has left its line."""
        ...


class Agenda:
    """The lines of one client."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[float, Line] = {}

    def add(self, entry: Entry, length: float) -> None:
        """Let ``entry``, which stands in no line, fall due about ``length`` seconds from now."""
        line = self._lines.get(length)
        if line is None:
            line = self._lines[length] = Line(self, length)
        line.insert(entry)

    def remove(self, entry: Entry) -> None:
        """Take ``entry`` out of its line, if it stands in one."""
        if entry.line is not None:
            entry.line.take_out(entry)

    def __iter__(self) -> Iterator[Any]:
        for line in list(self._lines.values()):
            entry = line.head
            while entry is not None:
                following = entry.following
                yield entry
                entry = following

    def call_at(self, when: float, line: Line) -> Timer:
        """A timer for the head of ``line``."""
        return self._clock.call_at(max(when, self._clock.now()), line.ring)

    def now(self) -> float:
        """The clock's."""
        return self._clock.now()

    def forget(self, line: Line) -> None:
        """``line`` is empty."""
        if self._lines.get(line.length) is line:
            del self._lines[line.length]


class Line:
    """Entries of one length in seconds, the one due first at the head."""

    __slots__ = ("_agenda", "_tail", "_timer", "head", "length")

    def __init__(self, agenda: Agenda, length: float) -> None:
        self._agenda = agenda
        self.length = length
        self.head: Any = None
        self._tail: Any = None
        self._timer: Timer | None = None

    def insert(self, entry: Any) -> None:
        """Put ``entry`` where its time is; nearly always at the end."""
        entry.line = self
        before, after = self._tail, None
        # What is overdue needs no order among itself; else only what began later than it is noted moves up.
        due = max(entry.due, self._agenda.now())
        while before is not None and before.due > due:
            before, after = before.previous, before
        entry.previous, entry.following = before, after
        if after is None:
            self._tail = entry
        else:
            after.previous = entry
        if before is None:
            self.head = entry
            self._wind()
        else:
            before.following = entry

    def take_out(self, entry: Any) -> None:
        """``entry`` is not to fall due."""
        self._unlink(entry)
        if self.head is None or entry.previous is None:
            self._wind()
        entry.previous = entry.following = None

    def ring(self) -> None:
        """The timer went off: let all fall due whose time has come."""
        self._timer = None
        now = self._agenda.now()
        while self.head is not None and self.head.due <= now:
            entry = self.head
            self._unlink(entry)
            entry.previous = entry.following = None
            entry.fall_due()
        if self._timer is None:
            self._wind()

    def _unlink(self, entry: Any) -> None:
        before, after = entry.previous, entry.following
        if before is None:
            self.head = after
        else:
            before.following = after
        if after is None:
            self._tail = before
        else:
            after.previous = before
        entry.line = None

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.head is not None:
            self._timer = self._agenda.call_at(self.head.due, self)
        else:
            self._agenda.forget(self)
