"""The responses of routes that delete, upgrade and downgrade. Deleting what does not exist succeeds.

See server-behaviour: Deleting and updating.
"""

from __future__ import annotations

from typing import Any

from reflexio_async.sandbox.http.responses import Response, succeeded
from reflexio_async.sandbox.reflexio.simulation.promotion import Promotion


def deleted() -> Response:
    """The response of routes that delete one thing."""
    return succeeded(message="Deleted successfully")


def deleted_count(count: int) -> Response:
    """The response of routes that delete by ids."""
    return succeeded(deleted_count=count, message=f"Deleted {count} item(s)")


def deleted_all() -> Response:
    """The response of routes that delete everything. The server always counts 0."""
    return succeeded(deleted_count=0, message="Deleted successfully")


def upgraded(kind: str, moved: Promotion[Any]) -> Response:
    """The response to an upgrade. Without pending rows it has not succeeded."""
    promoted, archived, removed = map(len, (moved.promoted, moved.archived, moved.deleted))
    message = f"Upgraded: {promoted} promoted, {archived} archived, {removed} old archived deleted"
    return Response(
        {
            "success": promoted > 0,
            f"{kind}_promoted": promoted,
            f"{kind}_archived": archived,
            f"{kind}_deleted": removed,
            "message": message if promoted else "No pending items found to upgrade",
        }
    )


def downgraded(kind: str, moved: Promotion[Any]) -> Response:
    """The response to a downgrade. Without archived rows it has not succeeded."""
    restored, archived = len(moved.promoted), len(moved.archived)
    message = f"Downgraded: {archived} archived, {restored} restored"
    return Response(
        {
            "success": restored > 0,
            f"{kind}_demoted": archived,
            f"{kind}_restored": restored,
            "message": message if restored else "No archived items found to restore",
        }
    )
