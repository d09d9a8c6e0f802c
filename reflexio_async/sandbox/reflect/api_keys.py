"""API keys. A key belongs to one project and has some scopes; the master key has all of everything."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reflexio_async.sandbox.storage.tables import ChangeTracker, Row, Table

MEMORY_READ: Final = "memory:read"
"""Query memories, read the skill."""
MEMORY_WRITE: Final = "memory:write"
"""Make the skill."""
TRACE_READ: Final = "trace:read"
"""Read and list traces."""
TRACE_WRITE: Final = "trace:write"
"""Submit, review and delete traces. Also read them, so that a submitter can wait for its trace."""
KEYS_MANAGE: Final = "keys:manage"
"""List, create and revoke keys of the project."""

ALL_SCOPES: Final = (MEMORY_READ, MEMORY_WRITE, TRACE_READ, TRACE_WRITE, KEYS_MANAGE)


@dataclass(slots=True)
class StoredApiKey(Row):
    """A key of one project. Times are ISO texts."""

    id: str
    public_id: str
    secret: str = field(repr=False)
    project_id: str
    label: str
    scopes: Sequence[str]
    environment: str
    created_at: str
    last_used_at: str | None = None
    revoked_at: str | None = None

    def view(self) -> dict[str, Any]:
        """As the server returns it, without the secret."""
        shown = self.fields_except("secret", "project_id")
        status = "active" if self.revoked_at is None else "revoked"
        return {**shown, "scopes": list(self.scopes), "status": status, "is_master": False}


class ApiKeyStore:
    """All keys except the master key, revoked ones included."""

    def __init__(self, changes: ChangeTracker) -> None:
        self._by_id = Table(changes, "reflect_key", StoredApiKey.from_document, lambda key: key.id)
        self._by_secret: dict[str, StoredApiKey] = {}

    def index(self) -> None:
        """Index the keys that were read from a file."""
        self._by_secret = {key.secret: key for key in self._by_id.values()}

    def create(
        self, project_id: str, label: str, scopes: Sequence[str], environment: str, created_at: str
    ) -> StoredApiKey:
        """Add a key. Its ``secret`` is the plaintext."""
        public_id = f"rf_{environment}_{secrets.token_hex(6)}"
        secret = f"{public_id}_{secrets.token_hex(16)}"
        key = StoredApiKey(
            str(uuid.uuid4()), public_id, secret, project_id, label, scopes, environment, created_at
        )
        self._by_id[key.id] = key
        self._by_secret[secret] = key
        return key

    def accepted(self, secret: str) -> StoredApiKey | None:
        """The key with this plaintext, unless it is revoked."""
        key = self._by_secret.get(secret)
        return key if key is not None and key.revoked_at is None else None

    def of_project(self, project_id: str) -> list[StoredApiKey]:
        """The keys of a project, oldest first."""
        return [key for key in self._by_id.values() if key.project_id == project_id]

    def find(self, project_id: str, key_id: str) -> StoredApiKey | None:
        """A key of a project."""
        key = self._by_id.get(key_id)
        return key if key is not None and key.project_id == project_id else None

    def delete_project(self, project_id: str) -> None:
        """Delete the keys of a project."""
        for key in self.of_project(project_id):
            del self._by_id[key.id]
            del self._by_secret[key.secret]
