"""Shows the progress of a batch: as a bar on a terminal, else as a line every few seconds."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reflexio_async._engine.batch.report import OutcomeState
from reflexio_async._engine.jobs.waits import WaitReason
from reflexio_async.cli.output import duration, one_line, print_line
from reflexio_async.cli.terminal import writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from rich.console import Console, RenderableType

    from reflexio_async._engine.batch.progress import BatchProgress

EVERY = 10.0
"""Seconds between two lines, where there is no bar."""
NOTE_EVERY = 60.0
"""Seconds between two lines in a log."""
_REFRESH_SECONDS = 0.1
_LONGEST_BAR = 40  # columns
_USUAL = (None, WaitReason.RATE_LIMIT, WaitReason.RUNNING)
"""What a batch waits for all the time. Another reason is worth a line at once."""


class HasProgress(Protocol):
    """A batch."""

    @property
    def progress(self) -> BatchProgress:
        """The progress now."""
        ...


class Lines:
    """Writes the progress every ``every`` seconds, at the end, and as soon as something is in its way.

    ``write`` gets the progress, and whether it is the last.
    """

    def __init__(self, write: Callable[[BatchProgress, bool], None], every: float) -> None:
        self._write = write
        self._every = every
        self._next_at = time.monotonic() + every
        self._trouble: WaitReason | None = None

    def show(self, progress: BatchProgress, *, last: bool = False) -> None:
        """Write it if it is time."""
        now = time.monotonic()
        reason = None if progress.waiting_for is None else progress.waiting_for.reason
        trouble = None if reason in _USUAL else reason
        if not last and now < self._next_at and trouble == self._trouble:
            return
        self._trouble = trouble
        self._next_at = now + self._every
        self._write(progress, last)


class _Bar:
    def __init__(self, title: str, to: Console) -> None:
        self._title = title
        self._to = to
        # rich's own refreshing would be a thread; a task reads the batch on its own event loop.
        self._live = Live(console=to, auto_refresh=False)
        self._live.start()

    def show(self, progress: BatchProgress, *, last: bool = False) -> None:
        if writer.is_behind and not last:
            return  # what is not seen now would have to be waited for later
        try:
            self._live.update(self._rendered(progress, last=last), refresh=True)
        finally:
            if last:
                self._live.stop()

    def _rendered(self, progress: BatchProgress, *, last: bool) -> RenderableType:
        counts = _counts_text(progress)
        width = max(4, min(_LONGEST_BAR, self._to.width - len(self._title) - len(counts) - 2))
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_row(
            Text(self._title, "bold", no_wrap=True),
            ProgressBar(progress.total, progress.done, width=width),
            Text(counts, no_wrap=True),
        )
        # It may take several lines: cut off, it would not tell what a narrow terminal was opened for.
        return Group(row, Text(one_line(_note(progress, last=last))))


@asynccontextmanager
async def show_progress(
    batch: HasProgress,
    title: str,
    to: Console,
    *lines: Lines,
    live: bool = True,
    every: float = EVERY,
) -> AsyncGenerator[None]:
    """Show the progress of ``batch`` while the block runs.

    Args:
        batch: The batch.
        title: What is counted, such as ``reruns``.
        to: Where to print.
        lines: Others that want to know, such as a log.
        live: Whether a bar may be shown when ``to`` is a terminal.
        every: Seconds between two lines when there is no bar.
    """
    is_live = live and to.is_interactive
    on_screen = Lines(lambda progress, last: print_line(to, line_text(title, progress, last=last)), every)
    displays = [_Bar(title, to) if is_live else on_screen, *lines]

    def show(*, last: bool = False) -> None:
        progress = batch.progress
        for display in displays:
            display.show(progress, last=last)

    async def refresh() -> None:
        while True:
            show()
            await asyncio.sleep(_REFRESH_SECONDS)

    refreshing = asyncio.create_task(refresh(), name="progress display")
    try:
        yield
    finally:
        refreshing.cancel()
        await asyncio.gather(refreshing, return_exceptions=True)
        show(last=True)


def line_text(title: str, progress: BatchProgress, *, last: bool) -> str:
    """The progress on one line."""
    total = "" if progress.total is None else f" of {progress.total}"
    return f"{title}: {progress.done}{total} done, {_note(progress, last=last)}"


def progress_fields(progress: BatchProgress) -> dict[str, Any]:
    """The progress for programs."""
    waits = progress.waiting_for
    return {
        "at": round(time.time(), 3),
        "done": progress.done,
        "total": progress.total,
        "counts": progress.counts,
        "seconds": round(progress.seconds, 3),
        "eta_seconds": None if progress.eta_seconds is None else round(progress.eta_seconds, 3),
        "waiting_for": None if waits is None else {"text": str(waits), **waits._asdict()},
    }


def _counts_text(progress: BatchProgress) -> str:
    return f"{progress.done}" if progress.total is None else f"{progress.done}/{progress.total}"


def _note(progress: BatchProgress, *, last: bool) -> str:
    """Why nothing moves comes first: it is what a person looks for."""
    parts: list[str] = []
    if progress.waiting_for is not None and not last:
        parts.append(str(progress.waiting_for))
    parts += [
        f"{count} {state.replace('_', ' ')}"
        for state, count in progress.counts.items()
        if state != OutcomeState.COMPLETED
    ]
    parts.append(duration(progress.seconds))
    if progress.eta_seconds is not None and not last:
        parts.append(f"about {duration(progress.eta_seconds)} to go")
    return ", ".join(parts)
