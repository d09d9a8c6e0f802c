"""Operations: the latest generation of each service, and deleting what is stored of a user."""

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.wire import Endpoint
from reflexio_async.reflexio.cached_paths import EVERYTHING
from reflexio_async.reflexio.models.operations import (
    ByService,
    CancelOperationRequest,
    CancelOperationResponse,
    ClearUserDataRequest,
    ClearUserDataResponse,
    GetOperationStatusResponse,
)

GET_OPERATION_STATUS = Endpoint(
    "GET", "/api/get_operation_status", GetOperationStatusResponse, refusal="return"
)
CANCEL_OPERATION = Endpoint(
    "POST", "/api/cancel_operation", CancelOperationResponse, repeatable=True, refusal="return", per_minute=10
)
CLEAR_USER_DATA = Endpoint(
    "POST",
    "/api/clear_user_data",
    ClearUserDataResponse,
    repeatable=True,
    per_minute=10,
    invalidates=EVERYTHING,
    memory="delete_memory",
)


class OperationsAPI(API):
    """Calls about operations."""

    @takes(ByService)
    async def get_operation_status(self, request: ByService) -> GetOperationStatusResponse:
        """The latest operation of one service. ``success`` is False when there was none."""
        return await self._send(GET_OPERATION_STATUS, request)

    @takes(CancelOperationRequest)
    async def cancel_operation(self, request: CancelOperationRequest) -> CancelOperationResponse:
        """Ask the server to stop the operations that are running, no matter who started them.

        To stop one job, use ``job.cancel()``: it first checks that the running operation is that job.
        """
        return await self._send(CANCEL_OPERATION, request)

    async def clear_user_data(self, user_id: str) -> ClearUserDataResponse:
        """Delete everything that is stored of one user. ``deleted_counts`` counts it by kind."""
        request = ClearUserDataRequest(user_id=user_id)
        return await self._send(CLEAR_USER_DATA, request)
