"""Braintrust, a service for evaluations: connecting it and fetching its scores."""

from typing import Any

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.models import Empty
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.models.braintrust import (
    BraintrustStatusResponse,
    ConnectBraintrustRequest,
    ConnectBraintrustResponse,
    SelectProjectsRequest,
    SelectProjectsResponse,
    SyncBraintrustResponse,
)

CONNECT_BRAINTRUST = Endpoint(
    "POST", "/api/braintrust/connect", ConnectBraintrustResponse, repeatable=True, per_minute=10
)
SELECT_BRAINTRUST_PROJECTS = Endpoint(
    "POST", "/api/braintrust/select_projects", SelectProjectsResponse, repeatable=True, per_minute=10
)
GET_BRAINTRUST_STATUS = Endpoint("GET", "/api/braintrust/status", BraintrustStatusResponse)
SYNC_BRAINTRUST = Endpoint(
    "POST", "/api/braintrust/sync", SyncBraintrustResponse, repeatable=True, per_minute=10
)
DELETE_BRAINTRUST_CONNECTION = Endpoint("DELETE", "/api/braintrust/connection", dict[str, Any], per_minute=10)


class BraintrustAPI(API):
    """Calls about the connection to Braintrust."""

    @takes(ConnectBraintrustRequest)
    async def connect_braintrust(self, request: ConnectBraintrustRequest) -> ConnectBraintrustResponse:
        """The workspaces and projects that a Braintrust key gives access to."""
        return await self._send(CONNECT_BRAINTRUST, request)

    @takes(SelectProjectsRequest)
    async def select_braintrust_projects(self, request: SelectProjectsRequest) -> SelectProjectsResponse:
        """Connect to Braintrust and choose the projects whose scores are fetched."""
        return await self._send(SELECT_BRAINTRUST_PROJECTS, request)

    async def get_braintrust_status(self) -> BraintrustStatusResponse:
        """Whether Braintrust is connected, and when its scores were fetched last."""
        return await self._send(GET_BRAINTRUST_STATUS, Empty())

    async def sync_braintrust(self) -> SyncBraintrustResponse:
        """Fetch the scores of the chosen projects now."""
        return await self._send(SYNC_BRAINTRUST, Empty())

    async def delete_braintrust_connection(self) -> dict[str, Any]:
        """Remove the connection: the server forgets the key and the projects."""
        return await self._send(DELETE_BRAINTRUST_CONNECTION, Empty())
