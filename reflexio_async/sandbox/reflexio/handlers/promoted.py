"""The responses of routes that upgrade and downgrade."""

from __future__ import annotations

from reflexio_async.sandbox.http.responses import Response
from reflexio_async.sandbox.reflexio.simulation.promotion import PromotionCounts


def upgraded(kind: str, counts: PromotionCounts) -> Response:
    """The response to an upgrade. Without pending rows it has not succeeded."""
    message = (
        f"Upgraded: {counts.promoted} promoted, {counts.archived} archived, "
        f"{counts.deleted} old archived deleted"
    )
    return Response(
        {
            "success": counts.promoted > 0,
            f"{kind}_promoted": counts.promoted,
            f"{kind}_archived": counts.archived,
            f"{kind}_deleted": counts.deleted,
            "message": message if counts.promoted else "No pending items found to upgrade",
        }
    )


def downgraded(kind: str, counts: PromotionCounts) -> Response:
    """The response to a downgrade. Without archived rows it has not succeeded."""
    message = f"Downgraded: {counts.archived} archived, {counts.promoted} restored"
    return Response(
        {
            "success": counts.promoted > 0,
            f"{kind}_demoted": counts.archived,
            f"{kind}_restored": counts.promoted,
            "message": message if counts.promoted else "No archived items found to restore",
        }
    )
