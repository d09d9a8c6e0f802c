"""How far a batch is: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from reflexio_async._engine.batch.report import OutcomeState
from reflexio_async.cli.output import duration, say

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from rich.console import Console

    from reflexio_async._engine.batch.batch import BatchProgress

_TICK = 0.1


class Progressing(Protocol):
    """A batch."""

    @property
    def progress(self) -> BatchProgress:
        """How far it is."""
        ...


class _Display(Protocol):
    def show(self, now: BatchProgress, *, last: bool = False) -> None: ...


@asynccontextmanager
async def shown(
    batch: Progressing, what: str, to: Console, *, live: bool = True, every: float = 10.0
) -> AsyncGenerator[None]:
    """Show how far ``batch`` is while the block runs.

    ``live`` allows a bar where ``to`` is a terminal; lines come ``every`` so many seconds.
    """
    # No thread of rich's own: the batch is looked at where it runs, and nothing is left behind.
    bar = Progress(
        TextColumn(what, style="bold", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=to,
        auto_refresh=False,
    )
    live = live and to.is_interactive
    display: _Display = _Bar(bar) if live else _Lines(what, to, every)

    async def tick() -> None:
        while True:
            display.show(batch.progress)
            await asyncio.sleep(_TICK)

    ticking = asyncio.create_task(tick(), name="progress display")
    if live:
        bar.start()
    try:
        yield
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        try:
            display.show(batch.progress, last=True)
        finally:
            if live:
                bar.stop()


def _note(now: BatchProgress, *, last: bool) -> str:
    troubled = [
        f"{count} {state.replace('_', ' ')}"
        for state, count in now.counts.items()
        if state != OutcomeState.COMPLETED
    ]
    parts = [*troubled, duration(now.seconds)]
    if now.eta_seconds is not None and not last:
        parts.append(f"about {duration(now.eta_seconds)} to go")
    return ", ".join(parts)


class _Bar:
    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._row = bar.add_task("", total=None, note="")

    def show(self, now: BatchProgress, *, last: bool = False) -> None:
        self._bar.update(self._row, completed=now.done, total=now.total, note=_note(now, last=last))
        self._bar.refresh()


class _Lines:
    def __init__(self, what: str, to: Console, every: float) -> None:
        self._what = what
        self._to = to
        self._every = every
        self._due = time.monotonic() + every

    def show(self, now: BatchProgress, *, last: bool = False) -> None:
        if not last and time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._every
        of = "" if now.total is None else f" of {now.total}"
        say(self._to, f"{self._what}: {now.done}{of} done, {_note(now, last=last)}")
