"""The calls of a client: for each its endpoint, its request class and its response type.

There is no list of them. A call is a public coroutine function whose code names an ``Endpoint``, a constant
of its module. Where the function leaves the sending to another method, the constant is named there.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import CodeType, FunctionType, UnionType
from typing import TYPE_CHECKING, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel

from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.models import ResponseModel
from reflexio_async._engine.outbox_call import OutboxCall
from reflexio_async._engine.tasks import BackgroundCall
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflect.jobs import TraceJob
from reflexio_async.reflect.models import Trace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping


@dataclass(frozen=True)
class Call:
    """One call of a client, for example ``search``."""

    name: str
    function: Callable[..., Any]
    endpoint: Endpoint[Any]
    request: type[BaseModel]

    @property
    def takes_request(self) -> bool:
        """Whether it is declared with ``@takes``: it takes keywords, or one request."""
        return hasattr(self.function, "__wrapped__")

    def __call__(self, client: object, fields: Mapping[str, Any]) -> Any:
        """Call it on ``client`` with the fields of its request, as one mapping if it takes one."""
        method = getattr(client, self.name)
        return method(dict(fields)) if self.takes_request else method(**fields)

    @property
    def ids_in_path(self) -> list[str]:
        """The fields of its request that travel in the path."""
        return [name for name in self.request.model_fields if f"{{{name}}}" in self.endpoint.path]

    @property
    def results(self) -> set[Any]:
        """The types that the call may return; of a handle, the type of its result."""
        returns = inspect.signature(self.function, eval_str=True).return_annotation
        kinds = get_args(returns) if get_origin(returns) in (Union, UnionType) else (returns,)
        return {_awaited(kind) for kind in kinds}


async def to_the_end(call: Awaitable[Any]) -> Any:
    """Await ``call`` and the handle that it may return."""
    response = await call
    if isinstance(response, BackgroundCall | Job | OutboxCall):
        return await cast("Awaitable[Any]", response)
    return response


def coroutine_functions(owner: type) -> dict[str, Callable[..., Any]]:
    """The public coroutine functions of ``owner``, by name."""
    members = {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_")}
    return {name: member for name, member in members.items() if inspect.iscoroutinefunction(member)}


SEVERAL_EXCHANGES = {"intent", "start_or_adopt"}
"""Coroutine functions that are no call of one endpoint, though they name some."""


def calls(owner: type) -> dict[str, Call]:
    """The calls of ``owner``, by name."""
    found: dict[str, Call] = {}
    for name, function in coroutine_functions(owner).items():
        if name in SEVERAL_EXCHANGES:
            continue
        named = list(_named(owner, inspect.unwrap(function), set()))
        endpoints: list[Endpoint[Any]] = [value for value in named if isinstance(value, Endpoint)]
        if endpoints:
            found[name] = Call(name, function, endpoints[0], _request(function, named))
    return found


def _request(function: Callable[..., Any], named: list[Any]) -> type[BaseModel]:
    """The class of the request that ``function`` is given, else of the one that it makes."""
    if hasattr(function, "__wrapped__"):
        parameters = inspect.signature(inspect.unwrap(function), eval_str=True).parameters
        given: type[BaseModel] = parameters["request"].annotation
        return given
    models: list[type[BaseModel]] = [
        value
        for value in named
        if isinstance(value, type) and issubclass(value, BaseModel) and not issubclass(value, ResponseModel)
    ]
    return models[0]


def _named(owner: type, function: Any, seen: set[str]) -> Iterator[Any]:
    """The globals that ``function`` names, and then those that the methods name which it calls."""
    methods: list[str] = []
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield function.__globals__[name]
        elif name not in seen and isinstance(getattr(owner, name, None), FunctionType):
            seen.add(name)
            methods.append(name)
    for name in methods:
        yield from _named(owner, inspect.unwrap(getattr(owner, name)), seen)


def _names(code: CodeType) -> Iterator[str]:
    """Every name in ``code`` and in the functions defined in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _awaited(kind: Any) -> Any:
    """The type of the result of a handle of type ``kind``; any other type is returned as it is."""
    if kind is TraceJob:
        return Trace
    return get_args(kind)[0] if get_origin(kind) in (Job, BackgroundCall) else kind
