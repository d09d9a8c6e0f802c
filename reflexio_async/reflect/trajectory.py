"""Trajectories: what was said in one run of an agent, checked before it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeAlias

from pydantic import PlainSerializer, PlainValidator

from reflexio_async._engine.models import check_plain_json

TrajectoryInput: TypeAlias = Sequence[Mapping[str, Any]] | str
"""Messages of an agent's run, each with a ``role`` and mostly ``content``; or a JSON string of them."""


def trajectory(value: Any) -> TrajectoryInput:
    """``value`` checked message by message; kept as it was given, but as a list.

    A JSON string stays a string: the server reads both.
    """
    if isinstance(value, str):
        # Its escapes may stand for what is no Unicode.
        check_plain_json(_messages(_decoded(value)))
        return value
    if not _is_a(value, Sequence) or _is_a(value, bytes | bytearray):
        message = f"must be a list of messages or a JSON string of one, not {type(value).__name__}"
        raise ValueError(message)
    messages = _messages(value)
    check_plain_json(messages)
    return messages


def _decoded(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        message = "as text it must be a JSON list of messages, and this is not JSON"
        raise ValueError(message) from None
    if not _is_a(value, list):
        message = "as text it must be a JSON list of messages, and this is JSON of something else"
        raise ValueError(message)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and infinities are no JSON


def _messages(given: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for position, one in enumerate(given):
        if not _is_a(one, Mapping):
            kind = type(one).__name__
            message = f"message {position} must be a mapping with role and content, not {kind}"
            raise ValueError(message)
        copied: dict[str, Any] = dict(one)
        role = copied.get("role")
        if not isinstance(role, str) or not role.strip():
            message = f"message {position} must have a role, such as 'user' or 'assistant'"
            raise ValueError(message)
        messages.append(copied)
    return messages


def _is_a(value: Any, kinds: Any) -> bool:
    return isinstance(value, kinds)  # as a function: a checker would narrow Any to a collection of unknowns


def _as_it_is(value: Any) -> Any:
    return value


Trajectory = Annotated[
    Sequence[Mapping[str, Any]] | str,
    PlainValidator(trajectory, json_schema_input_type=Sequence[Mapping[str, Any]] | str),
    # Written by what it is: by the branches of its type it takes ten times as long.
    PlainSerializer(_as_it_is, return_type=Any),
]
