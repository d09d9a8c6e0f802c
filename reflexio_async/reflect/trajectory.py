"""Trajectories: the messages of one run of an agent. They are checked before they are sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeAlias, cast

from pydantic import PlainSerializer, PlainValidator

from reflexio_async._engine.models import check_plain_json

TrajectoryInput: TypeAlias = Sequence[Mapping[str, Any]] | str
"""The messages of a run, each with a ``role`` and usually ``content``; or a JSON string of them."""


def check_trajectory(value: object) -> TrajectoryInput:
    """Check every message. Return a JSON string as it is, and anything else as a new list.

    Raises:
        ValueError: It is no list of messages, or a message is not plain JSON.
    """
    if isinstance(value, str):
        # Escapes in the string may stand for text that is not valid Unicode.
        check_plain_json(_messages(_parse(value)))
        return value
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray):
        message = f"must be a list of messages or a JSON string of one, not {type(value).__name__}"
        raise ValueError(message)  # noqa: TRY004  # what pydantic turns into an error of the field
    messages = _messages(cast("Sequence[object]", value))
    check_plain_json(messages)
    return messages


def _parse(text: str) -> Sequence[object]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        message = "as text it must be a JSON list of messages, and this is not JSON"
        raise ValueError(message) from None
    if not isinstance(value, list):
        message = "as text it must be a JSON list of messages, and this is JSON of something else"
        raise ValueError(message)  # noqa: TRY004  # what pydantic turns into an error of the field
    return cast("list[object]", value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # Python reads NaN and Infinity, which are not JSON


def _messages(value: Sequence[object]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for position, item in enumerate(value):
        if not isinstance(item, Mapping):
            kind = type(item).__name__
            message = f"message {position} must be a mapping with role and content, not {kind}"
            raise ValueError(message)  # noqa: TRY004  # as above
        fields = dict(cast("Mapping[str, Any]", item))
        role = fields.get("role")
        if not isinstance(role, str) or not role.strip():
            message = f"message {position} must have a role, such as 'user' or 'assistant'"
            raise ValueError(message)
        messages.append(fields)
    return messages


def _unchanged(value: Any) -> Any:
    return value


Trajectory = Annotated[
    Sequence[Mapping[str, Any]] | str,
    PlainValidator(check_trajectory, json_schema_input_type=Sequence[Mapping[str, Any]] | str),
    # Pydantic would check every message against the type again, which takes ten times as long.
    PlainSerializer(_unchanged, return_type=Any),
]
