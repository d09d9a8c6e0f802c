"""``takes`` gives a coroutine function the keywords of its request.

    SEARCH_PROFILES = Endpoint("POST", "/api/search_profiles", SearchProfilesViewResponse, repeatable=True)

    class ProfilesAPI(API):
        @takes(SearchUserProfileRequest)
        async def search_user_profiles(self, request: SearchUserProfileRequest) -> SearchProfilesViewResponse:
            '''Profiles of one user, nearest in meaning to ``query``.'''
            return await self._send(SEARCH_PROFILES, request)

``client.search_user_profiles`` can be called as ``(user_id="ana", query="tea")``, or with one request: a
``SearchUserProfileRequest`` or a mapping.

A keyword that is None counts as not given, as in the official client. In a request, None is sent as null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, Signature, cleandoc
from typing import TYPE_CHECKING, Any, Literal, get_type_hints, overload

from pydantic import BaseModel

from reflexio_async._engine.models import Polling, TimeRange, Waiting, given_fields, invalid
from reflexio_async._engine.warn import warn_caller
from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from reflexio_async._engine.endpoints.types import (
        Body,
        CachedCall,
        Call,
        Function,
        HandleDecorator,
        Method,
        P,
        Req,
        T,
        W,
    )

_OPTIONS = frozenset(Polling.model_fields)
_LAST = {name: place for place, name in enumerate((*TimeRange.model_fields, *Polling.model_fields), 1)}
"""The keywords that come last in a signature, in this order. What is required comes first."""
_EITHER = "give either a request or keywords, not both"


@overload
def takes(
    request_class: Callable[P, Req], /
) -> Callable[[Body[Req, T]], Method[Function[P, T], Call[P, Req, T]]]: ...
@overload
def takes(
    request_class: Callable[P, Req], /, *, option: Literal["force_refresh"]
) -> Callable[[Body[Req, T]], Method[Function[P, T], CachedCall[P, Req, T]]]: ...
@overload
def takes(request_class: Callable[P, Any], /, *, waiting: Callable[W, Any]) -> HandleDecorator[P, W]: ...
def takes(request_class: Any, /, *, waiting: Any = None, option: str = "") -> Any:
    """Let callers give the fields of a request, or one request: a model or a mapping.

    Args:
        request_class: The class of the request.
        waiting: For a function that returns a handle: the request class of calls with
            ``wait_for_response=True``. Such a call waits for the handle and returns its result.
        option: The field that the official client takes as a second positional argument, after the request.
    """

    def decorate(function: Any) -> Any:
        reader = _RequestReader(function, request_class, waiting, option)

        @wraps(function)
        async def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            request = reader.read(args, kwargs)
            del args, kwargs  # tools show the variables of a traceback; the request's repr has no secrets
            response = await function(self, request)
            if waiting is not None and isinstance(request, Waiting):
                return await response.wait_in_call(request)
            return response

        _describe(call, (waiting or request_class).model_fields | request_class.model_fields)
        return call

    return decorate


class _RequestReader:
    """Makes the request of one call from its arguments."""

    def __init__(self, function: Any, request_class: Any, waiting: Any, option: str) -> None:
        self._name: str = function.__name__
        annotation = function.__annotations__["request"]
        self._request_name = str(getattr(annotation, "__name__", annotation))
        self._expected = f"a {self._request_name} or a mapping"
        fields = {field: info for field, info in request_class.model_fields.items() if field not in _OPTIONS}
        wanted = [field for field, info in fields.items() if info.is_required()] or list(fields)[:1]
        keywords = ", ".join(f"{field}=..." for field in wanted)
        self._keywords = f"takes keywords: {self._name}({keywords}), or one request: {self._expected}"
        self._request_class = request_class
        self._waiting = waiting
        self._classes = (request_class, waiting) if waiting else (request_class,)
        self._second = "wait_for_response" if waiting else option
        self._beside_a_request = _OPTIONS if waiting else {option}
        self._optional = {
            "request",
            *(field for field, info in request_class.model_fields.items() if not info.is_required()),
            *(_OPTIONS if waiting else ()),
        } - {self._second}
        self._deprecated = {field for field, info in request_class.model_fields.items() if info.deprecated}

    def read(self, args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
        """The request; raises InvalidRequest, which names the call and every field at fault."""
        fields = {
            name: value for name, value in fields.items() if value is not None or name not in self._optional
        }
        if len(args) == 1 and args[0] is None:
            args = ()
        if "request" in fields:
            if args:
                raise invalid(self._name, _EITHER)
            args = (fields.pop("request"),)
        request = self._request_of(args, fields) if args else self._build(fields)
        for field in self._deprecated:
            if field in request.model_fields_set:
                warn_caller(f"{self._name}: {field} is deprecated by the server", DeprecationWarning)
        return request

    def _request_of(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The request that is given as the first of ``args``, with the options beside it."""
        given, *more = args
        if not _may_be_a_request(given):
            raise invalid(self._name, self._keywords)
        if more and self._second and self._second not in options:
            options = {self._second: more.pop(0), **options}
        if more or options.keys() - self._beside_a_request:
            raise invalid(self._name, _EITHER)
        if isinstance(given, self._classes) and not options:
            return given
        return self._build(self._fields_of(given) | options)

    def _fields_of(self, given: BaseModel | Mapping[Any, Any]) -> dict[str, Any]:
        if isinstance(given, BaseModel) and (
            isinstance(given, self._classes) or issubclass(self._request_class, type(given))
        ):
            return {name: value for name, value in given if name in given.model_fields_set}
        if type(given).__name__ == self._request_name:  # the official client's model of the same name
            given = given_fields(given)
        if isinstance(given, Mapping):
            return {str(name): value for name, value in given.items()}
        raise invalid(self._name, f"request must be {self._expected}, not {type(given).__name__}")

    def _build(self, fields: dict[str, Any]) -> Any:
        waits = self._waiting is not None and self._waits(fields)
        request_class: Any = self._waiting if waits else self._request_class
        try:
            return request_class(**fields)
        except InvalidRequest as error:
            raise invalid(self._name, error.faults) from None

    def _waits(self, fields: Mapping[str, Any]) -> bool:
        wait = fields.get("wait_for_response", False)
        if not isinstance(wait, bool):
            raise invalid(self._name, f"wait_for_response must be True or False, not {wait!r:.40}")
        if not wait and (fields.get("poll_interval"), fields.get("wait_timeout")) != (None, None):
            raise invalid(
                self._name, "poll_interval and wait_timeout go with wait_for_response=True or job.result()"
            )
        return wait


def _may_be_a_request(given: object) -> bool:
    """Whether ``given`` is meant as a request. None is a request that is missing by mistake."""
    return given is None or isinstance(given, BaseModel | Mapping)


def _describe(call: Any, fields: Mapping[str, FieldInfo]) -> None:
    """Give ``call`` the signature, the annotations and the descriptions of the fields. Builds no schema."""
    returns = call.__annotations__["return"]
    call.__annotations__ = {name: field.annotation for name, field in fields.items()}
    annotations = get_type_hints(call)  # without what Annotated adds
    if "wait_for_response" in fields:
        annotations["wait_for_response"] = bool
    parameters = [Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)]
    descriptions: list[str] = []
    for name in sorted(fields, key=lambda name: (not fields[name].is_required(), _LAST.get(name, 0))):
        field = fields[name]
        if field.description:
            descriptions.append(f"    {name}: {field.description}")
        default = Parameter.empty if field.is_required() else ... if field.default_factory else field.default
        kind = Parameter.KEYWORD_ONLY
        parameters.append(Parameter(name, kind, default=default, annotation=annotations[name]))
    call.__annotations__ = annotations | {"return": returns}
    call.__signature__ = Signature(parameters, return_annotation=returns)
    if descriptions and call.__doc__:  # Python -OO leaves docstrings out
        call.__doc__ = "\n".join([cleandoc(call.__doc__), "", "Args:", *descriptions])
