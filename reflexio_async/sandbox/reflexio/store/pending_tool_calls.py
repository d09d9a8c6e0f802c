"""Pending tool calls: questions that extraction asked, and their answers."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.reflexio.store.configuration import ORGANISATION
from reflexio_async.sandbox.storage.tables import Row, Table

NOT_APPLICABLE: dict[str, Any] = {
    "answer": "User does not have information about this question.",
    "not_applicable": True,
}
_DAY = 24 * 3600.0
_DEDUPLICATION = 300.0


@dataclass(slots=True)
class PendingToolCall(Row):
    """One question. Times are epoch seconds."""

    id: str
    tool_name: str
    question_text: str
    user_id: str | None
    args: dict[str, Any]
    created_at: float
    expires_at: float
    status: str = "pending"
    result: dict[str, Any] | None = None
    resolved_at: float | None = None
    valid_until: float | None = None

    def resolve(self, result: dict[str, Any], now: float, valid_for: int) -> None:
        """Store the answer, which is valid for ``valid_for`` seconds."""
        self.status, self.result = "resolved", result
        self.resolved_at, self.valid_until = now, now + valid_for

    def view(self) -> dict[str, Any]:
        """As the server returns it, with nulls."""
        scope = {"org_id": ORGANISATION, "user_id": self.user_id}
        return {
            "id": self.id,
            "org_id": ORGANISATION,
            "scope": scope,
            "scope_hash": _digest(scope),
            "tool_name": self.tool_name,
            "dedup_key": _digest([self.tool_name, self.question_text]),
            "status": self.status,
            "question_text": self.question_text,
            "args": self.args,
            "tags": list[str](),
            "user_id": self.user_id,
            "answer_format": None,
            "result": self.result,
            "superseded_by": None,
            "created_at": _iso(self.created_at),
            "resolved_at": _iso(self.resolved_at),
            "expires_at": _iso(self.expires_at),
            "cache_until": _iso(self.created_at + _DEDUPLICATION),
            "valid_until": _iso(self.valid_until),
        }


@dataclass(slots=True)
class PendingToolCallStore:
    """All questions, oldest first."""

    clock: Clock
    rows: Table[str, PendingToolCall]

    def ask(self, question: str, user_id: str | None, tool_name: str) -> PendingToolCall:
        """Add a question, which expires after a day."""
        now = self.clock.time()
        arguments = {"question": question}
        call = PendingToolCall(str(uuid.uuid4()), tool_name, question, user_id, arguments, now, now + _DAY)
        self.rows[call.id] = call
        return call

    def get(self, call_id: str) -> PendingToolCall | None:
        """One question."""
        self._expire()
        return self.rows.get(call_id)

    def latest(self) -> list[PendingToolCall]:
        """All questions, newest first."""
        self._expire()
        return sorted(self.rows.values(), key=lambda call: (-call.created_at, call.id))

    def _expire(self) -> None:
        now = self.clock.time()
        for call in self.rows.values():
            if call.status == "pending" and now >= call.expires_at:
                call.status = "expired"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _iso(epoch_seconds: float | None) -> str | None:
    if epoch_seconds is None:
        return None
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat().replace("+00:00", "Z")
