"""January's configuration and evaluation results."""

from __future__ import annotations

from typing import Any, Final

from reflexio_async.sandbox.http.responses import Response, succeeded
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.schemas.legacy import LegacyGetAgentSuccessEvaluationResultsRequestSchema
from reflexio_async.sandbox.reflexio.schemas.legacy_config import LegacyConfigSchema
from reflexio_async.sandbox.reflexio.simulation.grading import complains
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.rows import StoredRequest

_DEFAULT_LIMIT = 100

routes: Final = Router()


@routes.get("/api/get_config")
async def get_config(state: ReflexioState) -> Response:
    """All of it, with nulls."""
    return Response(state.legacy_config.model_dump(mode="json"))


@routes.post("/api/set_config")
async def set_config(state: ReflexioState, body: LegacyConfigSchema) -> Response:
    """Set all of it."""
    state.legacy_config = body
    return succeeded(msg="Configuration set successfully")


@routes.post("/api/get_agent_success_evaluation_results")
async def get_agent_success_evaluation_results(
    state: ReflexioState, body: LegacyGetAgentSuccessEvaluationResultsRequestSchema
) -> Response:
    """One result for each request and each evaluator of the configuration, latest first."""
    evaluators = state.legacy_config.agent_success_configs or []
    results = [
        _result(number, request, evaluator.evaluation_name)
        for number, request in enumerate(state.store.requests.values(), 1)
        for evaluator in evaluators
        if body.agent_version in (None, "", request.agent_version)
    ]
    page = results[::-1][: body.limit or _DEFAULT_LIMIT]
    return succeeded(agent_success_evaluation_results=page, msg=f"Found {len(page)} evaluation results")


def _result(result_id: int, request: StoredRequest, evaluation_name: str) -> dict[str, Any]:
    failed = complains(request)
    return {
        "result_id": result_id,
        "agent_version": request.agent_version,
        "request_id": request.request_id,
        "is_success": not failed,
        "failure_type": "incorrect" if failed else "",
        "failure_reason": "The user complained." if failed else "",
        "agent_prompt_update": "",
        "evaluation_name": evaluation_name,
        "created_at": request.created_at,
        "regular_vs_shadow": None,
        "embedding": list[float](),
    }
