"""The routes of January 2026. Today's other routes do not exist there."""

from __future__ import annotations

from typing import Final

from reflexio_async.sandbox.http.routing import EmptySchema, Router
from reflexio_async.sandbox.reflexio.handlers import identity, operations
from reflexio_async.sandbox.reflexio.legacy import feedback, requests
from reflexio_async.sandbox.reflexio.schemas.operations import OperationStatusQuerySchema

LEGACY_ROUTER: Final = Router(requests.routes, feedback.routes)
LEGACY_ROUTER.get("/", EmptySchema)(identity.root)
LEGACY_ROUTER.get("/health", EmptySchema)(identity.healthy)
LEGACY_ROUTER.post("/token", EmptySchema, per_minute=5)(identity.token)
LEGACY_ROUTER.get("/api/get_operation_status", OperationStatusQuerySchema)(operations.get_operation_status)
