"""Trajectories: what an agent did in one run. They are checked before they are sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeAlias, cast

from pydantic import PlainSerializer, PlainValidator

from reflexio_async._engine.models import check_plain_json

TrajectoryInput: TypeAlias = Sequence[Mapping[str, Any]] | str
"""The messages of a run, each with a ``role`` and usually ``content``; or the run as text."""


def check_trajectory(value: object) -> TrajectoryInput:
    """Return text as it is, and messages as a new list.

    Any text is a trajectory (server-behaviour: Trajectories), also an empty one, as an empty list is.

    Raises:
        ValueError: It is neither text nor a list of messages, a message has no role, or it is not plain JSON.
    """
    if isinstance(value, str):
        check_plain_json(_decoded(value))
        return value
    messages = _messages(value)
    check_plain_json(messages)
    return messages


def _decoded(text: str) -> Any:
    """What JSON text holds, since its escapes may stand for text that is not valid Unicode. Else the text."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # Python reads NaN and Infinity, which are not JSON


def _messages(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray):
        message = f"must be text or a list of messages, not {type(value).__name__}"
        raise ValueError(message)  # noqa: TRY004  # what pydantic turns into an error of the field
    messages: list[dict[str, Any]] = []
    for position, item in enumerate(cast("Sequence[object]", value)):
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
