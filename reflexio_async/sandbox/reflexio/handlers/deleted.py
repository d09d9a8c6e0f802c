"""The responses of routes that delete. Deleting what does not exist succeeds.

See server-behaviour: Deleting and updating.
"""

from __future__ import annotations

from reflexio_async.sandbox.http.responses import Response


def deleted() -> Response:
    """The response of routes that delete one thing."""
    return Response({"success": True, "message": "Deleted successfully"})


def deleted_count(count: int) -> Response:
    """The response of routes that delete by ids."""
    return Response({"success": True, "deleted_count": count, "message": f"Deleted {count} item(s)"})


def deleted_all() -> Response:
    """The response of routes that delete everything. The server always counts 0."""
    return Response({"success": True, "deleted_count": 0, "message": "Deleted successfully"})
