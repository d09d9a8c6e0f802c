"""``@reflect_trace``: does for every call of a coroutine function what ``client.trace`` does for a block."""

from __future__ import annotations

import functools
import inspect
import logging
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    overload,
)

from reflexio_async._engine.logs import fields
from reflexio_async._engine.option_checks import check_hook
from reflexio_async.errors import ConfigurationError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from reflexio_async.reflect.client import AsyncReflectClient
    from reflexio_async.reflect.trace_context import TraceContext
    from reflexio_async.reflect.tracing import TraceOptions
    from reflexio_async.reflect.trajectory import TrajectoryInput

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
Plain = TypeVar("Plain", bound="str | None")
"""What a function may return instead of a TraceResult."""

logger = logging.getLogger("reflexio_async")


@dataclass(frozen=True, slots=True)
class TraceResult(Generic[T]):
    """What a decorated function returns when it sets everything about its trace.

    Attributes:
        output: What the caller of the function gets. Text is also the final response of the trace.
        trajectory: Messages with role and content, or the run as text.
        result: ``pass`` (or ``success``), or ``fail`` (or ``failure``). None: reviewed later.
        feedback_text: What went wrong.
        model: The agent's language model.
        metadata: Any JSON object, stored with the trace.
    """

    output: T
    trajectory: TrajectoryInput
    result: str | None = None
    feedback_text: str | None = None
    model: str | None = None
    metadata: Mapping[str, Any] | None = None


class _Decorator(Protocol):
    """A decorator for functions that take the arguments of their caller."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, TraceResult[T]]], /
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, Plain]], /
    ) -> Callable[P, Coroutine[Any, Any, Plain]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, TraceResult[T] | Plain]], /
    ) -> Callable[P, Coroutine[Any, Any, T | Plain]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...


class _ContextDecorator(Protocol):
    """A decorator for functions that take a context, and then the arguments of their caller."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[TraceContext, P], Coroutine[Any, Any, TraceResult[T]]], /
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[TraceContext, P], Coroutine[Any, Any, Plain]], /
    ) -> Callable[P, Coroutine[Any, Any, Plain]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[TraceContext, P], Coroutine[Any, Any, TraceResult[T] | Plain]], /
    ) -> Callable[P, Coroutine[Any, Any, T | Plain]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[TraceContext, P], Coroutine[Any, Any, R]], /
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...


@overload
def reflect_trace(
    client: AsyncReflectClient,
    *,
    task: str | Callable[..., str] | None = None,
    inject_context: Literal[True] = True,
    **options: Unpack[TraceOptions],
) -> _ContextDecorator: ...
@overload
def reflect_trace(
    client: AsyncReflectClient,
    *,
    task: str | Callable[..., str] | None = None,
    inject_context: Literal[False],
    **options: Unpack[TraceOptions],
) -> _Decorator: ...
def reflect_trace(
    client: AsyncReflectClient,
    *,
    task: str | Callable[..., str] | None = None,
    inject_context: bool = True,
    **options: Unpack[TraceOptions],
) -> Any:
    """Trace every call of a coroutine function, as ``client.trace`` does for a block.

    The function gets the ``TraceContext`` as its first argument, before the arguments of its caller. What it
    returns decides what is sent:

    * A ``TraceResult`` holds everything. The caller gets its ``output``.
    * Text is sent as the trajectory and the final response, unless the function called ``ctx.set_output``.
    * For anything else nothing is sent, unless the function called ``ctx.set_output``.

    Args:
        client: The client that sends the traces.
        task: What the agent is asked to do: a text, or a function that gets the arguments of the call and
            returns the text. None: the first argument of the call is the text.
        inject_context: Pass the context to the function. Methods need False, and a ``task`` function, which
            gets ``self`` too.
        options: The options of ``client.trace``. With ``blocking``, the call returns when the trace is stored
            or reviewed. When the function raises before it called ``ctx.set_output``, nothing is sent.

    Raises:
        ConfigurationError: ``client`` is no Reflect client, as when ``(client)`` is left out.
        TypeError: The decorated object is no coroutine function, it has no argument that could be the task,
            or it is a method and ``inject_context=False`` or ``task`` is missing.
        InvalidRequest: An option is unusable. In a call: the task is not text.
    """
    if not callable(getattr(client, "trace", None)):
        message = f"write @reflect_trace(client), with an AsyncReflectClient, not {type(client).__name__}"
        raise ConfigurationError(message)
    if callable(task):
        check_hook("@reflect_trace: task", task)
    # This checks the options now, without I/O, and not in the first call.
    client.trace("…" if task is None or callable(task) else task, **options)

    def decorate(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        name = getattr(function, "__qualname__", repr(function))
        if not inspect.iscoroutinefunction(function):
            message = (
                f"@reflect_trace: {name} is not an `async def` function; for other code use client.trace"
            )
            raise TypeError(message)
        if inject_context or task is None:
            _refuse_method(function, name, inject_context=inject_context)
        task_of = _task_function(task, function, name, skipped=int(inject_context))

        @functools.wraps(function)
        async def traced(*args: Any, **kwargs: Any) -> Any:
            async with client.trace(task_of(*args, **kwargs), **options) as ctx:
                if inject_context:
                    args = (ctx, *args)
                return _set_output(ctx, await function(*args, **kwargs), name)

        if inject_context:
            _hide_context(traced, function)
        return traced

    return decorate


def _refuse_method(function: Callable[..., Any], name: str, *, inject_context: bool) -> None:
    """Raise TypeError for a method. It would get the context as ``self``, or its ``self`` as the task."""
    first = next(iter(inspect.signature(function).parameters), "")
    if first not in ("self", "cls"):
        return
    task = f"task=lambda {first}, …: …"
    wanted = f"inject_context=False (and {task})" if inject_context else task
    message = f"@reflect_trace: {name} is a method: pass {wanted}"
    raise TypeError(message)


def _task_function(
    task: str | Callable[..., str] | None, function: Callable[..., Any], name: str, *, skipped: int
) -> Callable[..., str]:
    """Return a function from the arguments of a call to its task.

    ``skipped``: the number of parameters of ``function`` that the caller does not give.
    """
    if isinstance(task, str):
        return lambda *_args, **_kwargs: task
    if task is not None:
        return task
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [each for each in inspect.signature(function).parameters.values() if each.kind in kinds]
    if len(parameters) <= skipped:
        message = f"@reflect_trace: {name} takes no argument that could be the task; pass task="
        raise TypeError(message)
    first = parameters[skipped]

    def first_argument(*args: Any, **kwargs: Any) -> str:
        value = args[0] if args else kwargs.get(first.name, first.default)
        if not isinstance(value, str):
            message = f"{name}: its argument {first.name} is the task and must be text; or pass task="
            raise InvalidRequest(message)
        return value

    return first_argument


def _set_output(ctx: TraceContext, returned: Any, name: str) -> Any:
    """Set the output of the context from what the function returned. Return what its caller gets."""
    result_type: Any = TraceResult  # with the class itself, pyright would narrow Any to TraceResult[Unknown]
    if isinstance(returned, result_type):
        ctx.set_output(
            trajectory=returned.trajectory,
            final_response=returned.output if isinstance(returned.output, str) else None,
            result=returned.result,
            feedback_text=returned.feedback_text,
            model=returned.model,
            metadata=returned.metadata,
        )
        return returned.output
    if ctx.has_output:
        return returned
    if isinstance(returned, str):
        ctx.set_output(trajectory=returned, final_response=returned)
    else:
        logger.debug(
            "%s returned %s: no trace is sent", name, type(returned).__name__, extra=fields("trace_not_sent")
        )
    return returned


def _hide_context(traced: Callable[..., Any], function: Callable[..., Any]) -> None:
    """Remove the context from the signature, which frameworks read to call the function."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1:]
    traced.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
