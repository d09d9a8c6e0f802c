"""API keys: one opens one project, for some purposes; the master key opens all, for every purpose."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from reflexio_async.sandbox.storage.tables import Row, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.sandbox.storage.tables import Changes

MEMORY_READ: Final = "memory:read"
"""Query memories, read the skill."""
MEMORY_WRITE: Final = "memory:write"
"""Make the skill."""
TRACE_READ: Final = "trace:read"
"""Read and list traces."""
TRACE_WRITE: Final = "trace:write"
"""Submit, review and delete traces; and read them, so that who submits can wait."""
KEYS_MANAGE: Final = "keys:manage"
"""List, create and revoke keys of the project."""

ALL_SCOPES: Final = (MEMORY_READ, MEMORY_WRITE, TRACE_READ, TRACE_WRITE, KEYS_MANAGE)


@dataclass(slots=True)
class Key(Row):
    """A key of one project; times are ISO."""

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
        """As the server shows it: without the secret."""
        return {
            "id": self.id,
            "public_id": self.public_id,
            "label": self.label,
            "scopes": list(self.scopes),
            "environment": self.environment,
            "status": "active" if self.revoked_at is None else "revoked",
            "is_master": False,
            "created_at": self.created_at,
            "last_used_at": self.last_used_at,
            "revoked_at": self.revoked_at,
        }


class Keyring:
    """Every key but the master's, revoked ones too."""

    def __init__(self, changes: Changes) -> None:
        self._by_id = Table(changes, "reflect_key", Key.restored, lambda key: key.id)
        self._by_secret: dict[str, Key] = {}

    def sort(self) -> None:
        """Find one's way among the keys that were read back."""
        self._by_secret = {key.secret: key for key in self._by_id.values()}

    def create(
        self, project_id: str, label: str, scopes: Sequence[str], environment: str, created_at: str
    ) -> Key:
        """A new key; its ``secret`` is the whole plaintext."""
        public_id = f"rf_{environment}_{secrets.token_hex(6)}"
        secret = f"{public_id}_{secrets.token_hex(16)}"
        key = Key(str(uuid.uuid4()), public_id, secret, project_id, label, scopes, environment, created_at)
        self._by_id[key.id] = key
        self._by_secret[secret] = key
        return key

    def accepted(self, secret: str) -> Key | None:
        """The key with this plaintext, unless it is revoked."""
        key = self._by_secret.get(secret)
        return key if key is not None and key.revoked_at is None else None

    def of_project(self, project_id: str) -> list[Key]:
        """In the order they were made."""
        return [key for key in self._by_id.values() if key.project_id == project_id]

    def find(self, project_id: str, key_id: str) -> Key | None:
        """One of the project's."""
        key = self._by_id.get(key_id)
        return key if key is not None and key.project_id == project_id else None

    def forget(self, project_id: str) -> None:
        """Drop the keys of a project that goes."""
        for key in self.of_project(project_id):
            del self._by_id[key.id]
            del self._by_secret[key.secret]
