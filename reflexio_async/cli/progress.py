"""Shows the progress of a batch: as a bar on a terminal, else as one line of text every few seconds."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from reflexio_async._engine.batch.report import OutcomeState
from reflexio_async.cli.output import duration, print_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from rich.console import Console

    from reflexio_async._engine.batch.progress import BatchProgress

_REFRESH_SECONDS = 0.1
_NOTE_SECONDS = 60.0


class HasProgress(Protocol):
    """A batch."""

    @property
    def progress(self) -> BatchProgress:
        """The progress now."""
        ...


class _Display(Protocol):
    def show(self, progress: BatchProgress, *, last: bool = False) -> None: ...


@asynccontextmanager
async def show_progress(
    batch: HasProgress,
    title: str,
    to: Console,
    *,
    live: bool = True,
    every: float = 10.0,
    note: Callable[[str], None] | None = None,
) -> AsyncGenerator[None]:
    """Show the progress of ``batch`` while the block runs.

    Args:
        batch: The batch.
        title: What is counted, such as ``reruns``.
        to: Where to print.
        live: Whether a bar may be shown when ``to`` is a terminal.
        every: Seconds between two lines when there is no bar.
        note: Gets a line every minute, whatever is shown.
    """
    # rich's own refreshing would be a thread; a task reads the batch on its own event loop.
    bar = Progress(
        TextColumn(title, style="bold", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=to,
        auto_refresh=False,
    )
    live = live and to.is_interactive
    lines = _Lines(title, partial(print_line, to), every)
    displays: list[_Display] = [_Bar(bar) if live else lines]
    if note is not None:
        displays.append(_Lines(title, note, _NOTE_SECONDS))

    def show(*, last: bool = False) -> None:
        progress = batch.progress
        for display in displays:
            display.show(progress, last=last)

    async def refresh() -> None:
        while True:
            show()
            await asyncio.sleep(_REFRESH_SECONDS)

    refreshing = asyncio.create_task(refresh(), name="progress display")
    if live:
        bar.start()
    try:
        yield
    finally:
        refreshing.cancel()
        await asyncio.gather(refreshing, return_exceptions=True)
        try:
            show(last=True)
        finally:
            if live:
                bar.stop()


def _note(progress: BatchProgress, *, last: bool) -> str:
    parts = [
        f"{count} {state.replace('_', ' ')}"
        for state, count in progress.counts.items()
        if state != OutcomeState.COMPLETED
    ]
    parts.append(duration(progress.seconds))
    if progress.waiting_for is not None and not last:
        parts.append(str(progress.waiting_for))
    if progress.eta_seconds is not None and not last:
        parts.append(f"about {duration(progress.eta_seconds)} to go")
    return ", ".join(parts)


class _Bar:
    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, note="")

    def show(self, progress: BatchProgress, *, last: bool = False) -> None:
        note = _note(progress, last=last)
        self._bar.update(self._task, completed=progress.done, total=progress.total, note=note)
        self._bar.refresh()


class _Lines:
    def __init__(self, title: str, write: Callable[[str], None], every: float) -> None:
        self._title = title
        self._write = write
        self._every = every
        self._next_line = time.monotonic() + every

    def show(self, progress: BatchProgress, *, last: bool = False) -> None:
        if not last and time.monotonic() < self._next_line:
            return
        self._next_line = time.monotonic() + self._every
        total = "" if progress.total is None else f" of {progress.total}"
        note = _note(progress, last=last)
        self._write(f"{self._title}: {progress.done}{total} done, {note}")
