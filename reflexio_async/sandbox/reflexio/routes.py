"""All routes of the Reflexio service."""

from __future__ import annotations

from typing import Final

from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.handlers import (
    agent_playbooks,
    aggregation,
    braintrust,
    config,
    dashboard,
    evaluation,
    experiments,
    identity,
    interactions,
    operations,
    pending_tool_calls,
    playbooks,
    profiles,
    provenance,
    search,
    sessions,
)

ROUTER: Final = Router(
    identity.routes,
    config.routes,
    dashboard.routes,
    braintrust.routes,
    interactions.routes,
    sessions.routes,
    profiles.routes,
    playbooks.routes,
    agent_playbooks.routes,
    search.routes,
    provenance.routes,
    operations.routes,
    aggregation.routes,
    evaluation.routes,
    experiments.routes,
    pending_tool_calls.routes,
)
