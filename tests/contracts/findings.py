"""What schemathesis finds that is true of the real server too, each with a request that shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A failed check, recognised by its message, and why it remains."""

    operation: str
    message: str
    reason: str
    query: dict[str, Any] = field(default_factory=dict[str, Any])
    body: dict[str, Any] | None = None


_CALL: Final = "/api/pending_tool_calls/{pending_tool_call_id}"
_UNREPRESENTABLE: Final = "the server answers 503 when its calendar ends before the answer's validity"
_LEFT_OUT: Final = "the server leaves out what is None, though its contract requires it"

FINDINGS: Final = (
    Finding(
        operation="GET /api/storage_stats",
        message="Server error",
        reason="the server answers 500 when user_id is empty",
        query={"user_id": ""},
    ),
    Finding(
        operation="POST /api/get_evaluation_overview",
        message='"shadow_success_rate_pp" is a required property',
        reason=_LEFT_OUT,
        body={"from_ts": 1, "to_ts": 2},
    ),
    Finding(
        operation="POST /api/get_evaluation_overview",
        message='"shadow_rate" is a required property',
        reason=_LEFT_OUT,
        body={"from_ts": 1, "to_ts": 4_000_000_000},
    ),
    Finding(
        operation="POST /api/update_config",
        message='is not of type "array"',
        reason="the detail of this route's 422 is an object, not the list that the contract tells of",
        body={"nonsense": 1},
    ),
    Finding(
        operation=f"POST {_CALL}/resolve",
        message="Server error",
        reason=_UNREPRESENTABLE,
        body={"result": {}, "valid_for_seconds": 10**15},
    ),
    Finding(
        operation=f"POST {_CALL}/not_applicable",
        message="Server error",
        reason=_UNREPRESENTABLE,
        body={"valid_for_seconds": 10**15},
    ),
    Finding(
        operation=f"PATCH {_CALL}/answer",
        message="Server error",
        reason=_UNREPRESENTABLE,
        body={"answer": "Paris", "valid_for_seconds": 10**15},
    ),
)
