"""Operations: the one running generation of each service."""

from __future__ import annotations

from reflexio_async._engine.cache import EVERYTHING
from reflexio_async._engine.routing.route import Route
from reflexio_async.reflexio.models.operations import (
    ByService,
    CancelOperationRequest,
    CancelOperationResponse,
    ClearUserDataRequest,
    ClearUserDataResponse,
    GetOperationStatusResponse,
    clear_user,
)


class OperationsAPI:
    """The latest operation of each service."""

    get_operation_status = Route(
        "GET", "/api/get_operation_status", ByService, GetOperationStatusResponse, refusal="return"
    )
    """The latest operation of one service; ``success`` is False when it never ran."""

    cancel_operation = Route(
        "POST",
        "/api/cancel_operation",
        CancelOperationRequest,
        CancelOperationResponse,
        repeatable=True,
        refusal="return",
        per_minute=10,
    )
    """Ask for running operations to stop, whoever started them.

    ``job.cancel()`` makes sure first that the operation is its own.
    """

    clear_user_data = Route(
        "POST",
        "/api/clear_user_data",
        clear_user,
        ClearUserDataResponse,
        model=ClearUserDataRequest,
        repeatable=True,
        per_minute=10,
        forgets=EVERYTHING,
    )
    """Delete everything of one user; ``deleted_counts`` says how much of what."""
