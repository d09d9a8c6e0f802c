"""Upgrades and downgrades: whole generations of rows change their state at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from reflexio_async.sandbox.reflexio.store.rows import Playbook, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.sandbox.reflexio.store.store import Store

_Row = TypeVar("_Row", Profile, Playbook)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows were touched, and how."""

    promoted: int = 0
    archived: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class _Moved(Generic[_Row]):
    promoted: Sequence[_Row]
    archived: Sequence[_Row]
    deleted: Sequence[_Row]

    @property
    def counts(self) -> Counts:
        return Counts(len(self.promoted), len(self.archived), len(self.deleted))


def upgrade_profiles(store: Store) -> Counts:
    """Pending to current, current to archived, archived away, in the whole organisation."""
    moved = _upgrade(list(store.all_profiles()), archive=True)
    _touch(store, moved)
    gone = {profile.profile_id for profile in moved.deleted}
    store.delete_profiles(lambda profile: profile.profile_id in gone)
    return moved.counts


def upgrade_playbooks(store: Store, agent_version: str | None, *, archive_current: bool) -> Counts:
    """As with profiles, for one agent version or all; optionally leaving the current ones."""
    moved = _upgrade(_of(store, agent_version), archive=archive_current)
    for playbook in moved.deleted:
        del store.playbooks[playbook.user_playbook_id]
    return moved.counts


def downgrade_profiles(store: Store) -> Counts:
    """Archived to current, current to archived, in the whole organisation."""
    moved = _downgrade(list(store.all_profiles()))
    _touch(store, moved)
    return moved.counts


def downgrade_playbooks(store: Store, agent_version: str | None) -> Counts:
    """As with profiles, for one agent version or all."""
    return _downgrade(_of(store, agent_version)).counts


def _of(store: Store, agent_version: str | None) -> list[Playbook]:
    return [row for row in store.playbooks.values() if agent_version in (None, row.agent_version)]


def _touch(store: Store, moved: _Moved[Profile]) -> None:
    now = store.now
    for profile in (*moved.promoted, *moved.archived):
        profile.last_modified = now


def _upgrade(rows: Sequence[_Row], *, archive: bool) -> _Moved[_Row]:
    pending = [row for row in rows if row.status == "pending"]
    archive = archive and bool(pending)
    deleted = [row for row in rows if archive and row.status == "archived"]
    archived = [row for row in rows if archive and row.status is None]
    for row in archived:
        row.status = "archived"
    for row in pending:
        row.status = None
    return _Moved(pending, archived, deleted)


def _downgrade(rows: Sequence[_Row]) -> _Moved[_Row]:
    restored = [row for row in rows if row.status == "archived"]
    archived = [row for row in rows if restored and row.status is None]
    for row in archived:
        row.status = "archived"
    for row in restored:
        row.status = None
    return _Moved(restored, archived, restored[:0])
