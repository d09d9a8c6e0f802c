"""A sandbox in a thread, for tests and programs that are not asynchronous."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, overload

from anyio.from_thread import start_blocking_portal

from reflexio_async.sandbox.sandbox import Sandbox
from reflexio_async.sandbox.virtual_clock import VirtualClock

P = ParamSpec("P")
T = TypeVar("T")


class SandboxThread:
    """Runs a sandbox in a thread, on an event loop of its own.

        with SandboxThread(Sandbox(rate_limits=True)) as box:
            box.call(Sandbox.seed, "ana", "I like sushi")
            ... box.url ...

    So ordinary functions can use it, such as tests with the ``TestClient`` of Starlette or FastAPI, whose
    application has an event loop of its own. It is on real time.

    Args:
        sandbox: The sandbox, which does not run yet. One without options by default.

    Raises:
        ValueError: The sandbox is on a VirtualClock, which works on one event loop only.
    """

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        self._sandbox = Sandbox() if sandbox is None else sandbox
        if isinstance(self._sandbox.clock, VirtualClock):
            message = "a sandbox in a thread is on real time: make it without a VirtualClock"
            raise ValueError(message)  # noqa: TRY004  # its type is right

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            stack.enter_context(self._portal.wrap_async_context_manager(self._sandbox))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """The base URL of the Reflexio server."""
        return self._sandbox.url

    @property
    def reflect_url(self) -> str:
        """The base URL of the Reflect server."""
        return self._sandbox.reflect_url

    @property
    def reflect_key(self) -> str:
        """The master key of the Reflect server."""
        return self._sandbox.reflect_key

    @overload
    def call(
        self, function: Callable[Concatenate[Sandbox, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    def call(
        self, function: Callable[Concatenate[Sandbox, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call ``function`` with the sandbox, on its event loop, and return the result.

        ``box.call(Sandbox.restart)``, ``box.call(lambda sandbox: sandbox.requests)``: whatever uses the
        sandbox goes this way, since the sandbox is not for several threads at once.

        Args:
            function: A method of Sandbox, or any function of a sandbox. A coroutine function is awaited.
            args: The arguments after the sandbox.
            kwargs: The keyword arguments.
        """
        return self._portal.call(partial(function, self._sandbox, *args, **kwargs))
