"""What callers reported of their sessions' ends, and which sessions searches have already served."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox.reflexio.schemas.sessions import SetOutcome
from reflexio_async.sandbox.reflexio.store.rows import present
from reflexio_async.sandbox.storage.tables import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reflexio_async.sandbox.reflexio.store.rows import StoredRequest
    from reflexio_async.sandbox.storage.tables import Table

_CONTRACT = hashlib.sha256(b"reflexio_async.sandbox outcome contract").hexdigest()


@dataclass(frozen=True, slots=True)
class Outcome(Row):
    """One report; it never changes."""

    outcome_id: str
    user_id: str
    source: str
    created_at: int
    digest: str
    given: SetOutcome

    def document(self) -> dict[str, Any]:
        """With the report as it was given."""
        return {**Row.document(self), "given": self.given.model_dump(mode="json", exclude_unset=True)}

    @classmethod
    def restored(cls, document: dict[str, Any]) -> Outcome:
        """With its report."""
        whole: dict[str, Any] = {**document, "given": SetOutcome.model_validate(document["given"])}
        return cls(**whole)

    @property
    def keys(self) -> dict[str, Any]:
        """What every answer about it repeats."""
        return {
            "user_id": self.user_id,
            "source": self.source,
            "outcome_id": self.outcome_id,
            "outcome_revision": 1,
            "outcome_contract_digest": _CONTRACT,
            "finalized_trajectory_digest": self.digest,
        }

    def view(self) -> dict[str, Any]:
        """As the server shows it."""
        told = self.given.model_dump(mode="json")
        return present({**told, **self.keys, "created_at": self.created_at, "is_inferred": False})


@dataclass(slots=True)
class Outcomes:
    """By user and session; they outlive the session's requests."""

    rows: Table[tuple[str, str], Outcome]

    def record(self, given: SetOutcome, requests: Sequence[StoredRequest], now: int) -> Outcome:
        """Write down a session's first outcome."""
        first = requests[0]
        said = json.dumps([request.view() for request in requests], sort_keys=True)
        digest = hashlib.sha256(said.encode()).hexdigest()
        outcome = Outcome(uuid.uuid4().hex, first.user_id, first.source, now, digest, given)
        self.rows[first.user_id, given.session_id] = outcome
        return outcome

    def forget(self, user_id: str) -> int:
        """A user's; how many there were."""
        doomed = [key for key in self.rows if key[0] == user_id]
        for key in doomed:
            del self.rows[key]
        return len(doomed)


@dataclass(slots=True)
class Served:
    """What a session's searches have shown already; a restart forgets it."""

    seen: defaultdict[str, set[tuple[str, str]]] = field(
        default_factory=lambda: defaultdict[str, set[tuple[str, str]]](set)
    )

    def new(self, session_id: str | None, kind: str, key: str) -> bool:
        """Whether a session has not been shown that; no session has been shown nothing."""
        return not session_id or (kind, key) not in self.seen[session_id]

    def show(self, session_id: str | None, keys: Iterable[tuple[str, str]]) -> None:
        """Remember what is shown now."""
        if session_id:
            self.seen[session_id].update(keys)
