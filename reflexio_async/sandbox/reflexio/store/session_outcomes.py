"""How sessions ended, as callers reported it."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reflexio_async.sandbox.reflexio.schemas.sessions import SetSessionOutcomeRequestSchema
from reflexio_async.sandbox.reflexio.store.rows import StoredRequest, without_nulls
from reflexio_async.sandbox.storage.tables import Row, Table

_CONTRACT = hashlib.sha256(b"reflexio_async.sandbox outcome contract").hexdigest()


@dataclass(frozen=True, slots=True)
class StoredSessionOutcome(Row):
    """One outcome. It never changes.

    Attributes:
        digest: A hash of the session's requests when the outcome was reported.
        given: The report.
    """

    outcome_id: str
    user_id: str
    source: str
    created_at: int
    digest: str
    given: SetSessionOutcomeRequestSchema

    @property
    def keys(self) -> dict[str, Any]:
        """The fields of every response about this outcome."""
        return {
            "user_id": self.user_id,
            "source": self.source,
            "outcome_id": self.outcome_id,
            "outcome_revision": 1,
            "outcome_contract_digest": _CONTRACT,
            "finalized_trajectory_digest": self.digest,
        }

    def view(self) -> dict[str, Any]:
        """As the server returns it."""
        given = self.given.model_dump(mode="json")
        return without_nulls({**given, **self.keys, "created_at": self.created_at, "is_inferred": False})


@dataclass(slots=True)
class SessionOutcomeStore:
    """The outcomes by user and session. They remain when the session's requests are deleted."""

    rows: Table[tuple[str, str], StoredSessionOutcome]

    def add(
        self, given: SetSessionOutcomeRequestSchema, requests: Sequence[StoredRequest], now: int
    ) -> StoredSessionOutcome:
        """Store the outcome of a session with these requests."""
        first = requests[0]
        trajectory = json.dumps([request.view() for request in requests], sort_keys=True)
        digest = hashlib.sha256(trajectory.encode()).hexdigest()
        outcome = StoredSessionOutcome(uuid.uuid4().hex, first.user_id, first.source, now, digest, given)
        self.rows[first.user_id, given.session_id] = outcome
        return outcome

    def delete_user(self, user_id: str) -> int:
        """Delete the outcomes of a user. Returns how many."""
        keys = [key for key in self.rows if key[0] == user_id]
        for key in keys:
            del self.rows[key]
        return len(keys)
