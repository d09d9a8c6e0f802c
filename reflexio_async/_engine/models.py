"""The base classes and field types of the models: strict requests, tolerant responses."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    SecretStr,
    SerializationInfo,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema, to_json

from reflexio_async._engine.option_checks import positive_seconds
from reflexio_async._engine.validation import NULL_BRANCH, VALUE_BRANCH, describe
from reflexio_async.errors import InvalidRequest

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

empty_list: Callable[[], list[Any]] = list
"""Makes an empty list. (``list[int]`` takes six times as long, which slows down large responses.)"""
empty_dict: Callable[[], dict[str, Any]] = dict

EMPTY_LIST: Any = Field(default_factory=empty_list)
"""The default of list fields: a new list for each model."""
EMPTY_DICT: Any = Field(default_factory=empty_dict)
"""The default of dict fields: a new dict for each model."""


def _seconds(value: Any) -> float:
    return positive_seconds("", value, zero=True)


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A finite number of seconds, zero or more."""


class Query:
    """Marks a request field that is sent in the query string."""


class Header:
    """Marks a request field that is sent as the header ``name``."""

    def __init__(self, name: str) -> None:
        self.name = name


class RequestPart(BaseModel):
    """A part of a request. Unknown fields are errors, so that a misspelt field is never ignored."""

    model_config = ConfigDict(
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
        defer_build=True,
        str_min_length=0,  # no limit, but with it pydantic refuses texts that are not valid Unicode
    )


class RequestModel(RequestPart):
    """A request. Unusable values raise InvalidRequest, whose message begins with the title of the class."""

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            fields.clear()  # tools show the variables of a traceback; one of them may be a password
            raise invalid(error.title, describe(error, type(self).model_fields)) from None


def invalid(name: str, faults: str) -> InvalidRequest:
    """The error of a request: the name of the call, then what is wrong with which field."""
    return InvalidRequest(f"{name}: {faults}" if name else faults, faults=faults)


def build_request(request_type: type[M], given: Mapping[str, Any] | M, name: str = "") -> M:
    """Return ``given`` as a ``request_type``.

    Raises:
        InvalidRequest: ``given`` is something else, or some of its fields are unusable. The message begins
            with ``name`` and names every wrong field.
    """
    if isinstance(given, request_type):
        return given
    if type(given).__name__ == request_type.__name__:  # the official client's model of the same name
        given = given_fields(given)
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        raise invalid(name, f"request must be a {request_type.__name__} or a mapping, not {kind}")
    try:
        return request_type(**{str(field): value for field, value in given.items()})
    except InvalidRequest as error:
        faults = error.faults
    except ValidationError as error:
        faults = describe(error, request_type.model_fields)
    raise invalid(name, faults)


class Starting(RequestModel):
    """The option of a call that returns a handle."""

    wait_for_response: Literal[False] = Field(
        default=False, exclude=True, description="Wait for the result, and return it in place of the handle."
    )


class Waiting(RequestModel):
    """The option of a call that waits inside and returns the response."""

    wait_for_response: Literal[True] = Field(exclude=True, description="Wait for the result, and return it.")


class Polling(Waiting):
    """The options of a call that waits for a job."""

    poll_interval: Seconds | None = Field(
        default=None, exclude=True, description="Seconds between status requests. 0: as often as is allowed."
    )
    wait_timeout: Seconds | None = Field(
        default=None,
        exclude=True,
        description="Seconds to wait, queueing included. 0: ask for the status once.",
    )


class ResponseModel(BaseModel):
    """A response. Fields that this release does not know are in ``model_extra``.

    Null for a field that cannot be null means its default, and for a list or an object without a default an
    empty one. A list is read up to its first bad entry: a long list of them would take seconds.
    """

    # NaN and infinity stay what they are when a response is kept as JSON.
    model_config = ConfigDict(
        extra="allow", hide_input_in_errors=True, defer_build=True, ser_json_inf_nan="constants"
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        inner: Any = handler.resolve_ref_schema(schema)
        while inner["type"] != "model-fields":  # within the model and its validators
            inner = inner["schema"]
        for field in inner["fields"].values():
            field["schema"] = _null_as_default(field["schema"])
        return schema


_EMPTY: Mapping[str, Callable[[], Any]] = {"list": empty_list, "dict": empty_dict}
# "lax-or-strict": this was done before. Pydantic gives the same schema again for every model that holds it.
_READS_NULL = ("any", "none", "nullable", "lax-or-strict")


def _null_as_default(schema: Any) -> Any:
    """The schema of a response's field, which takes null for the default as well."""
    has_default = schema["type"] == "default"
    value: Any = schema["schema"] if has_default else schema
    kind = value["type"]
    _stop_at_first_error(value)
    if kind in _READS_NULL or not (has_default or kind in _EMPTY):
        return schema
    default: Any = (
        schema if has_default else core_schema.with_default_schema(value, default_factory=_EMPTY[kind])
    )
    # First it must be null. That is no value, so "on_error" puts the default in its place.
    or_default: Any = {**default, "on_error": "default"}
    null = core_schema.chain_schema([core_schema.none_schema(), or_default, value])
    either = core_schema.union_schema([(value, VALUE_BRANCH), (null, NULL_BRANCH)], mode="left_to_right")
    # It is written as ``value`` alone: that takes less time.
    both = core_schema.lax_or_strict_schema(either, value)
    return {**schema, "schema": both} if has_default else both


def _stop_at_first_error(schema: Any) -> None:
    """Let the lists in ``schema`` be read up to their first bad entry."""
    while schema is not None:
        if schema["type"] == "list":
            schema["fail_fast"] = True
        schema = schema.get("schema") or schema.get("items_schema") or schema.get("values_schema")


class Empty(RequestModel):
    """The request of a call without arguments."""


def epoch_now() -> int:
    """Epoch seconds now: the default of times that the server would set to its own now."""
    return int(time.time())


def drop_none(fields: Mapping[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
    """Return the fields that are not None. What a caller left out is left out of the request."""
    return {name: value for name, value in {**(fields or {}), **more}.items() if value is not None}


def _aware_utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        message = "is outside of the calendar in UTC"
        raise ValueError(message) from None


def _no_number_as_text(value: Any) -> Any:
    # Pydantic reads such a text as epoch seconds: "2020" would be in January 1970.
    if not isinstance(value, str):
        return value
    try:
        float(value)
    except ValueError:
        return value
    message = "must be a datetime or a text like 2020-01-31T09:30:00Z, not a number as text"
    raise ValueError(message)


def _not_blank(value: str) -> str:
    if not value.strip():
        message = "must not be empty"
        raise ValueError(message)
    return value


def check_plain_json(value: Any) -> None:
    """Raise ValueError for values that have no JSON: NaN, infinity, other objects, lone surrogates."""
    try:
        json.dumps(value, allow_nan=False)
        to_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error).removeprefix("Error serializing to JSON: ")
        message = f"must be plain JSON: {reason}"
        raise ValueError(message) from None


def _plain_json(value: Mapping[str, Any]) -> Mapping[str, Any]:
    check_plain_json(value)
    return value


UtcDatetime = Annotated[datetime, BeforeValidator(_no_number_as_text), AfterValidator(_aware_utc)]
"""Sent as aware UTC; a naive time means UTC. The server fails when both kinds meet in one request
(server-behaviour: Refusals)."""

NotBlank = Annotated[str, AfterValidator(_not_blank)]
"""Text that is not blank. The server strips ids, and an empty ``user_id`` means all users to it
(server-behaviour: Admission, Fields of a publish)."""


def given_fields(value: Any) -> Any:
    """The set fields of a model of another package, such as the official client's; else ``value``."""
    if isinstance(value, BaseModel) and not type(value).__module__.startswith("reflexio_async."):
        return value.model_dump(exclude_unset=True)
    return value


if TYPE_CHECKING:
    OrMapping: TypeAlias = M | Mapping[str, Any]
else:
    # Pydantic makes the model of a mapping by itself; only checkers must know that it may be given.
    OrMapping = Annotated[M, BeforeValidator(given_fields)]
"""``OrMapping[Model]``: a part of a request, given as the model or as a mapping of its fields."""

if TYPE_CHECKING:
    ListOf: TypeAlias = Sequence[T]
else:
    # Pydantic's validator and serializer of sequences are written in Python, and slow.
    ListOf = list
"""``ListOf[int]``: a list in a request. Any iterable may be given but text and mappings."""

if TYPE_CHECKING:
    OrNone: TypeAlias = T | None
else:
    # A call leaves keywords that are None out of its request. Only checkers must know that None may be given.
    OrNone = Annotated[T, "or None"]
"""``OrNone[int]``: a field for which a call takes None too: the server's default."""

JsonObject = Annotated[Mapping[str, Any], AfterValidator(_plain_json)]
"""A JSON object. It is checked before sending, because pydantic writes NaN as null."""

SourceName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9._:-]{0,127})?$")]
"""Where interactions came from: lower case letters, digits and ``. _ : -``, at most 128 characters."""

AtLeastOne = Annotated[int, Field(gt=0)]
ZeroOrMore = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(le=1.0, ge=0.0)]
ShortText = Annotated[str, Field(max_length=255)]


class TimeRange(RequestModel):
    """A request about a span of time: the end must be after the start."""

    start_time: UtcDatetime | None = None
    end_time: UtcDatetime | None = None

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.start_time is not None and self.end_time is not None and self.end_time <= self.start_time:
            message = "end_time must be after start_time"
            raise ValueError(message)
        return self


REVEAL = {"reveal": True}
"""The serialisation context in which secrets are written in clear, for a request to the server."""


def _written(secret: SecretStr, info: SerializationInfo) -> str:
    return secret.get_secret_value() if info.context == REVEAL else str(secret)


Secret = Annotated[SecretStr, PlainSerializer(_written, when_used="json")]
"""A credential. It is masked in reprs, dumps and logs; ``get_secret_value()`` returns it."""

SecretText = Annotated[str, Field(min_length=1, repr=False)]
"""A credential in a request. It is not in reprs."""
