"""The arguments of a call, as its request model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from reflexio_async._engine.routing.warn import warn_caller
from reflexio_async._engine.wire import build_request, describe_validation
from reflexio_async.errors import InvalidRequest

Req = TypeVar("Req", bound=BaseModel)


def request_from(
    name: str, make: Callable[..., Req], model: type[Req], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Req:
    """The request given as keywords, or as ``request``: a model or a mapping, positional or by name.

    Raises:
        InvalidRequest: naming every field at fault.
    """
    if "request" in kwargs or (args and isinstance(args[0], BaseModel | Mapping)):
        given = cast("Any", kwargs.pop("request") if "request" in kwargs else args[0])
        if kwargs or len(args) > 1:
            message = f"{name}: give either a request or keywords, not both"
            raise InvalidRequest(message)
        request: Req = build_request(model, given, name)
    elif args and make is model:
        message = f"{name} takes keywords, or one request: a {model.__name__} or a mapping"
        raise InvalidRequest(message)
    else:
        try:
            request = make(*args, **kwargs)
        except ValidationError as error:
            raise InvalidRequest(describe_validation(error, name, model.model_fields)) from None
        except TypeError as error:
            # Only arguments were bound, to a function that the caller does not know by name.
            message = f"{name}: {str(error).partition(') ')[2] or error}"
            raise InvalidRequest(message) from None
    for field in _deprecated_fields(model) & request.model_fields_set:
        warn_caller(f"{name}: {field} is deprecated by the server", DeprecationWarning)
    return request


@cache
def _deprecated_fields(model: type[BaseModel]) -> frozenset[str]:
    """The fields that the server still accepts but no longer heeds."""
    return frozenset(name for name, field in model.model_fields.items() if field.deprecated)
