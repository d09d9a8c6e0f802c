"""The keys of a batch: a collection is checked whole before any I/O, an iterator as it is pulled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import anyio

from reflexio_async.errors import InvalidRequest

I = TypeVar("I")  # noqa: E741  # an item
Given: TypeAlias = Iterable[Any] | AsyncIterable[Any]


class Items(Generic[I]):
    """The items of a batch, one after another, checked.

    A duplicate key in a collection is an error before any I/O. In an iterator only keys that are under way
    at the same time are compared. Comparing all keys would need memory for all of them.
    """

    def __init__(self, name: str, given: Given, check: Callable[[Any], I], key: Callable[[I], Any]) -> None:
        if isinstance(given, str | bytes | Mapping):
            kind = type(given).__name__  # pyright: ignore[reportUnknownArgumentType]
            meant = "its keys, list(…)" if isinstance(given, Mapping) else f"[{name.rstrip('s')}]"
            message = f"{name} must be a list of them, not one {kind}; did you mean {meant}?"
            raise InvalidRequest(message)
        self._check = check
        self._lock = anyio.Lock()
        self._stopped = False
        self._waiting: asyncio.Task[Any] | None = None
        """The task that waits for an asynchronous iterable."""
        self._pulled: Iterator[Any] | AsyncIterator[Any]
        self.total: int | None = None
        self._checked: deque[I] | None = None
        """Those of a collection that were not pulled; None for an iterator."""
        if isinstance(given, Collection):
            self._checked = _checked_whole(name, given, check, key)
            self.total = len(self._checked)
        elif isinstance(given, AsyncIterable):
            self._pulled = aiter(given)
        elif isinstance(given, Iterable):
            self._pulled = iter(given)
        else:
            message = f"{name} must be an iterable of them, not {type(given).__name__}"
            raise InvalidRequest(message)

    async def pull(self) -> Any:
        """The next item of an iterator as it was given, of a collection checked.

        Raises:
            StopAsyncIteration: At the end, and after ``stop``.
        """
        if self._checked is not None:
            if not self._checked:
                raise StopAsyncIteration
            return self._checked.popleft()
        if isinstance(self._pulled, Iterator):
            try:
                return next(self._pulled)
            except StopIteration:
                raise StopAsyncIteration from None
        # An asynchronous generator raises when two tasks ask it for the next item at once.
        async with self._lock:
            if self._stopped:
                raise StopAsyncIteration
            self._waiting = asyncio.current_task()
            try:
                return await anext(self._pulled)
            except asyncio.CancelledError:
                if self._waiting is None:
                    raise StopAsyncIteration from None  # ``stop`` has cancelled it
                raise
            finally:
                self._waiting = None

    def stop(self) -> None:
        """Pull nothing more. An asynchronous iterable that waits for its next item is cancelled."""
        if self._stopped:
            return
        self._stopped = True
        task = self._waiting
        if task is not None and not task.get_loop().is_closed():
            # Later: it may be the iterable itself that stops the batch.
            task.get_loop().call_soon(self._cancel_wait)

    def _cancel_wait(self) -> None:
        task, self._waiting = self._waiting, None
        if task is not None:
            task.cancel()

    def checked(self, raw: Any) -> I:
        """Return the item for ``raw``, or raise InvalidRequest."""
        return self._check(raw) if self._checked is None else raw

    def rest(self) -> list[I] | None:
        """The items of a collection that were not pulled; None for an iterator."""
        return None if self._checked is None else list(self._checked)

    async def aclose(self) -> None:
        """Close an async generator."""
        aclose = None if self._checked is not None else getattr(self._pulled, "aclose", None)
        if aclose is not None:
            await aclose()


def _checked_whole(
    name: str, given: Collection[Any], check: Callable[[Any], I], key: Callable[[I], Any]
) -> deque[I]:
    items: deque[I] = deque()
    first_at: dict[Any, int] = {}
    for position, raw in enumerate(given):
        try:
            item = check(raw)
        except InvalidRequest as error:
            message = f"{name}[{position}]: {error}"
            raise InvalidRequest(message) from error.__cause__
        if (first := first_at.setdefault(key(item), position)) != position:
            message = f"{name}[{position}]: {key(item)!r} is already at [{first}]; give each one once"
            raise InvalidRequest(message)
        items.append(item)
    return items
