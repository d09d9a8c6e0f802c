"""The routes of January 2026. Today's other routes do not exist there."""

from __future__ import annotations

from typing import Final

from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.handlers import identity, operations
from reflexio_async.sandbox.reflexio.legacy import feedback, organisation, profiles, requests

LEGACY_ROUTER: Final = Router(profiles.routes, requests.routes, feedback.routes, organisation.routes)
LEGACY_ROUTER.get("/")(identity.root)
LEGACY_ROUTER.get("/health")(identity.healthy)
LEGACY_ROUTER.post("/token", per_minute=5)(identity.token)
LEGACY_ROUTER.get("/api/get_operation_status")(operations.get_operation_status)
