"""``@reflect_trace``: every call of a coroutine function is a run of an agent."""

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
    overload,
)

from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from reflexio_async.reflect.client import AsyncReflectClient
    from reflexio_async.reflect.tracing import TraceContext
    from reflexio_async.reflect.trajectory import TrajectoryInput

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
Plain = TypeVar("Plain", bound="str | None")
"""What may be returned in place of a TraceResult."""

logger = logging.getLogger("reflexio_async")


@dataclass(frozen=True, slots=True)
class TraceResult(Generic[T]):
    """What a decorated function returns to say all about its run; its caller gets ``output``."""

    output: T
    """The caller's; when it is text, the trace's final response too."""
    trajectory: TrajectoryInput
    """Messages with role and content, or a JSON string of them."""
    result: str | None = None
    """``pass`` (or ``success``), or ``fail`` (or ``failure``); None: judged later."""
    feedback_text: str | None = None
    """What went wrong."""
    model: str | None = None
    """The agent's language model."""
    metadata: Mapping[str, Any] | None = None
    """Whatever is to be kept with the trace."""


class _Traced(Protocol):
    """Decorates functions of their caller's arguments."""

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


class _TracedWithContext(Protocol):
    """Decorates functions of a context and their caller's arguments."""

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
    limit: int = 10,
    lambda_: float = 0.5,
    metadata_filter: Mapping[str, Any] | None = None,
    similarity_threshold: float | None = None,
    mmr_lambda: float = 0.7,
    blocking: bool = False,
    auto_fail_on_exception: bool = True,
    inject_context: Literal[True] = True,
) -> _TracedWithContext: ...
@overload
def reflect_trace(
    client: AsyncReflectClient,
    *,
    task: str | Callable[..., str] | None = None,
    limit: int = 10,
    lambda_: float = 0.5,
    metadata_filter: Mapping[str, Any] | None = None,
    similarity_threshold: float | None = None,
    mmr_lambda: float = 0.7,
    blocking: bool = False,
    auto_fail_on_exception: bool = True,
    inject_context: Literal[False],
) -> _Traced: ...
def reflect_trace(
    client: AsyncReflectClient,
    *,
    task: str | Callable[..., str] | None = None,
    limit: int = 10,
    lambda_: float = 0.5,
    metadata_filter: Mapping[str, Any] | None = None,
    similarity_threshold: float | None = None,
    mmr_lambda: float = 0.7,
    blocking: bool = False,
    auto_fail_on_exception: bool = True,
    inject_context: bool = True,
) -> Any:
    """Make every call of a coroutine function a run of an agent, as ``client.trace`` does for a block.

    The function gets the run's ``TraceContext`` as its first argument, before its caller's. What it returns
    decides what is sent: a ``TraceResult`` all it says, and the caller gets its ``output``; text a trace of
    two messages, the task and that text; anything else nothing, unless the function called
    ``ctx.set_output`` itself, which text does not replace either.

    Args:
        client: Sends the traces.
        task: What the agent is asked to do: a text, a function of the caller's arguments that returns it,
            or None, when the first argument is the text.
        limit: As for ``client.trace``; so are all below but the last.
        lambda_: See ``client.trace``.
        metadata_filter: See ``client.trace``.
        similarity_threshold: See ``client.trace``.
        mmr_lambda: See ``client.trace``.
        blocking: See ``client.trace``; the call then returns when the trace is stored or reviewed.
        auto_fail_on_exception: See ``client.trace``; a function that raises before ``ctx.set_output`` has
            nothing to send.
        inject_context: False: the function takes its caller's arguments only. A method is decorated so,
            with a ``task`` that takes its ``self`` too.

    Raises:
        TypeError: What is decorated is no coroutine function, has no argument to be the task, or is a
            method and ``inject_context`` or ``task`` was left out.
        InvalidRequest: An option is unusable; or, when called, the task is no text.
    """
    options: dict[str, Any] = {
        "limit": limit,
        "lambda_": lambda_,
        "metadata_filter": metadata_filter,
        "similarity_threshold": similarity_threshold,
        "mmr_lambda": mmr_lambda,
        "blocking": blocking,
        "auto_fail_on_exception": auto_fail_on_exception,
    }
    # Checked here, without I/O, rather than at the first call.
    client.trace("…" if task is None or callable(task) else task, **options)

    def decorate(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        name = getattr(function, "__qualname__", repr(function))
        if not inspect.iscoroutinefunction(function):
            message = (
                f"@reflect_trace: {name} is not an `async def` function; for other code use client.trace"
            )
            raise TypeError(message)
        if inject_context or task is None:
            _must_not_be_a_method(function, name, inject_context=inject_context)
        task_of = _task_of(task, function, name, skipped=int(inject_context))

        @functools.wraps(function)
        async def traced(*args: Any, **kwargs: Any) -> Any:
            async with client.trace(task_of(*args, **kwargs), **options) as ctx:
                given = (ctx, *args) if inject_context else args
                return _output(ctx, await function(*given, **kwargs), name)

        if inject_context:
            _hide_context(traced, function)
        return traced

    return decorate


def _must_not_be_a_method(function: Callable[..., Any], name: str, *, inject_context: bool) -> None:
    """Called on an object, it would get the context as its ``self``, or its ``self`` as the task."""
    first = next(iter(inspect.signature(function).parameters), "")
    if first not in ("self", "cls"):
        return
    task = f"task=lambda {first}, …: …"
    wanted = f"inject_context=False (and {task})" if inject_context else task
    message = f"@reflect_trace: {name} is a method: pass {wanted}"
    raise TypeError(message)


def _task_of(
    task: str | Callable[..., str] | None, function: Callable[..., Any], name: str, *, skipped: int
) -> Callable[..., str]:
    """What gives the task of a call; ``skipped`` parameters are not the caller's."""
    if isinstance(task, str):
        return lambda *_args, **_kwargs: task
    if task is not None:
        return task
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [one for one in inspect.signature(function).parameters.values() if one.kind in kinds]
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


def _output(ctx: TraceContext, returned: Any, name: str) -> Any:
    told: Any = TraceResult  # or a checker would narrow Any to a result of unknowns
    if isinstance(returned, told):
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
        messages = [{"role": "user", "content": ctx.task}, {"role": "assistant", "content": returned}]
        ctx.set_output(trajectory=messages, final_response=returned)
    else:
        logger.debug("%s returned %s: no trace is sent", name, type(returned).__name__)
    return returned


def _hide_context(traced: Callable[..., Any], function: Callable[..., Any]) -> None:
    """Callers give no context: frameworks that read signatures must not ask for one."""
    signature = inspect.signature(function)
    left = list(signature.parameters.values())[1:]
    traced.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
