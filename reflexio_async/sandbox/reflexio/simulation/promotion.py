"""Upgrades and downgrades: pending, current and archived rows change their status together.

See server-behaviour: Upgrade and downgrade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from reflexio_async.sandbox.reflexio.store.rows import StoredProfile, StoredUserPlaybook
from reflexio_async.sandbox.reflexio.store.store import ReflexioStore

_Row = TypeVar("_Row", StoredProfile, StoredUserPlaybook)


@dataclass(frozen=True, slots=True)
class Promotion(Generic[_Row]):
    """The rows that changed. ``promoted`` ones became current."""

    promoted: Sequence[_Row]
    archived: Sequence[_Row]
    deleted: Sequence[_Row]


def upgrade_profiles(store: ReflexioStore) -> Promotion[StoredProfile]:
    """Make pending profiles current, archive current ones and delete archived ones, for all users."""
    moved = _upgrade(list(store.all_profiles()), archive=True)
    _set_modified(store, moved)
    deleted = {profile.profile_id for profile in moved.deleted}
    store.delete_profiles(lambda profile: profile.profile_id in deleted)
    return moved


def upgrade_playbooks(
    store: ReflexioStore, agent_version: str | None, *, archive_current: bool
) -> Promotion[StoredUserPlaybook]:
    """Do the same with the playbooks of one agent version or all. It may keep the current ones."""
    moved = _upgrade(_of(store, agent_version), archive=archive_current)
    for playbook in moved.deleted:
        del store.playbooks[playbook.user_playbook_id]
    return moved


def downgrade_profiles(store: ReflexioStore) -> Promotion[StoredProfile]:
    """Make archived profiles current and archive current ones, for all users."""
    moved = _downgrade(list(store.all_profiles()))
    _set_modified(store, moved)
    return moved


def downgrade_playbooks(store: ReflexioStore, agent_version: str | None) -> Promotion[StoredUserPlaybook]:
    """Do the same with the playbooks of one agent version or all."""
    return _downgrade(_of(store, agent_version))


def _of(store: ReflexioStore, agent_version: str | None) -> list[StoredUserPlaybook]:
    return [row for row in store.playbooks.values() if agent_version in (None, row.agent_version)]


def _set_modified(store: ReflexioStore, moved: Promotion[StoredProfile]) -> None:
    now = store.now
    for profile in (*moved.promoted, *moved.archived):
        profile.last_modified_timestamp = now


def _upgrade(rows: Sequence[_Row], *, archive: bool) -> Promotion[_Row]:
    pending = [row for row in rows if row.status == "pending"]
    archive = archive and bool(pending)
    deleted = [row for row in rows if archive and row.status == "archived"]
    archived = [row for row in rows if archive and row.status is None]
    for row in archived:
        row.status = "archived"
    for row in pending:
        row.status = None
    return Promotion(pending, archived, deleted)


def _downgrade(rows: Sequence[_Row]) -> Promotion[_Row]:
    restored = [row for row in rows if row.status == "archived"]
    archived = [row for row in rows if restored and row.status is None]
    for row in archived:
        row.status = "archived"
    for row in restored:
        row.status = None
    return Promotion(restored, archived, [])
