"""What type checkers see of a function decorated with ``takes``.

At run time such a function is an ordinary coroutine function of its class.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    overload,
)

from reflexio_async._engine.models import RequestModel

if TYPE_CHECKING:
    from reflexio_async._engine.jobs.job import Job
    from reflexio_async._engine.tasks import BackgroundCall

P = ParamSpec("P")
W = ParamSpec("W")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Handle_co = TypeVar("Handle_co", covariant=True)
Function_co = TypeVar("Function_co", covariant=True)
Req = TypeVar("Req", bound=RequestModel)
Req_contra = TypeVar("Req_contra", bound=RequestModel, contravariant=True)


class Call(Protocol, Generic[P, Req_contra, T_co]):  # pyright: ignore[reportInvalidTypeVarUse]  # a mapping hides the request's variance
    """A call on a client: the request's keywords, or one request."""

    __name__: str

    @overload
    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...
    @overload
    async def __call__(self, request: Req_contra | Mapping[str, Any]) -> T_co: ...


class CachedCall(Protocol, Generic[P, Req_contra, T_co]):  # pyright: ignore[reportInvalidTypeVarUse]  # as above
    """A call whose response may come from the cache."""

    __name__: str

    @overload
    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...
    @overload
    async def __call__(
        self, request: Req_contra | Mapping[str, Any], force_refresh: bool = False
    ) -> T_co: ...  # as the official client has it


class HandleCall(Protocol, Generic[P, W, Req_contra, Handle_co, T_co]):  # pyright: ignore[reportInvalidTypeVarUse]  # as above
    """A call that returns a handle, or with ``wait_for_response=True`` the response."""

    __name__: str

    # The waiting form comes first: under pydantic's mypy plugin ``wait_for_response`` is Any in both.
    @overload
    async def __call__(self, *args: W.args, **kwargs: W.kwargs) -> T_co: ...
    @overload
    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Handle_co: ...
    @overload
    async def __call__(
        self, request: Req_contra | Mapping[str, Any], wait_for_response: Literal[False] = False
    ) -> Handle_co: ...
    @overload
    async def __call__(
        self,
        request: Req_contra | Mapping[str, Any],
        wait_for_response: Literal[True],
        *,
        poll_interval: float | None = None,
        wait_timeout: float | None = None,
    ) -> T_co: ...


class Method(Protocol, Generic[Function_co, T_co]):
    """A function in its class, a call on an instance."""

    @overload
    def __get__(self, obj: None, owner: type) -> Function_co: ...
    @overload
    def __get__(self, obj: object, owner: type) -> T_co: ...


Body: TypeAlias = Callable[[Any, Req], Coroutine[Any, Any, T]]
Function: TypeAlias = Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]


class HandleDecorator(Protocol, Generic[P, W]):
    """What ``takes(…, waiting=…)`` returns: a decorator of functions that return a handle."""

    @overload
    def __call__(
        self, function: Body[Req, Job[T]], /
    ) -> Method[Function[P, Job[T]], HandleCall[P, W, Req, Job[T], T]]: ...
    @overload
    def __call__(
        self, function: Body[Req, BackgroundCall[T]], /
    ) -> Method[Function[P, BackgroundCall[T]], HandleCall[P, W, Req, BackgroundCall[T], T]]: ...
