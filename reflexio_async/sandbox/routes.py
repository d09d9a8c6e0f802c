"""The table of routes: what a caller may send, how often, and who answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from reflexio_async.sandbox import bodies
from reflexio_async.sandbox.answers import Invalid
from reflexio_async.sandbox.handlers import interactions, learnt, operations, system

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from reflexio_async.sandbox.answers import Reply
    from reflexio_async.sandbox.calls import Call
    from reflexio_async.sandbox.world import World

_Body = TypeVar("_Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Route:
    """One row; ``read`` makes the handler's last argument out of the request, or raises ``Invalid``."""

    method: str
    path: str
    read: Callable[[Call], Any]
    answer: Callable[[World, Call, Any], Awaitable[Reply]]
    per_minute: int | None = None


def _get(
    path: str,
    answer: Callable[[World, Call, _Body], Awaitable[Reply]],
    query: type[_Body],
    per_minute: int | None = None,
) -> Route:
    return Route(
        "GET", path, lambda call: _validated(query, dict(call.record.query), "query"), answer, per_minute
    )


def _post(
    path: str,
    answer: Callable[[World, Call, _Body], Awaitable[Reply]],
    body: type[_Body],
    per_minute: int | None = None,
) -> Route:
    return Route("POST", path, lambda call: _validated(body, _json_of(call), "body"), answer, per_minute)


def _validated(model: type[_Body], given: Any, place: str) -> _Body:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        if not isinstance(given, dict):
            raise Invalid([_not_an_object(given)]) from error
        raise Invalid.of(error, place) from error


def _json_of(call: Call) -> Any:
    """The body as FastAPI reads it: JSON only when it is called so, else one piece of text."""
    if not call.raw_body:
        missing = {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}
        raise Invalid([missing])
    kind = call.record.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        return call.raw_body.decode(errors="replace")
    try:
        return json.loads(call.raw_body)
    except json.JSONDecodeError as error:
        raise Invalid(
            [
                {
                    "type": "json_invalid",
                    "loc": ["body", error.pos],
                    "msg": "JSON decode error",
                    "input": {},
                    "ctx": {"error": error.msg},
                }
            ]
        ) from error


def _not_an_object(given: Any) -> dict[str, Any]:
    return {
        "type": "model_attributes_type",
        "loc": ["body"],
        "msg": "Input should be a valid dictionary or object to extract fields from",
        "input": given,
    }


OPEN_PATHS: Final = frozenset({"/", "/health", "/health/live", "/health/ready", "/meta/version", "/token"})
"""Need no credential."""

UNWATCHED_PATHS: Final = frozenset({"/", "/health", "/health/live", "/health/ready"})
"""Answer whatever the User-Agent."""

ROUTES: Final = (
    _get("/", system.root, bodies.Nothing),
    _get("/health", system.healthy, bodies.Nothing),
    _get("/health/live", system.alive, bodies.Nothing),
    _get("/health/ready", system.healthy, bodies.Nothing),
    _get("/meta/version", system.version, bodies.Nothing),
    Route("POST", "/token", lambda _: bodies.Nothing(), system.token, 5),
    _get("/api/whoami", system.whoami, bodies.Nothing),
    _post("/api/publish_interaction", interactions.publish, bodies.Publish, 60),
    _get("/api/learning_status", interactions.learning_status, bodies.LearningStatusQuery, 120),
    _post("/api/get_requests", interactions.get_requests, bodies.GetRequests),
    _post("/api/rerun_profile_generation", operations.rerun_profiles, bodies.RerunProfiles, 5),
    _post("/api/rerun_playbook_generation", operations.rerun_playbooks, bodies.RerunPlaybooks, 5),
    _post("/api/manual_profile_generation", operations.manual_profiles, bodies.ManualProfiles, 5),
    _post("/api/manual_playbook_generation", operations.manual_playbooks, bodies.ManualPlaybooks, 5),
    _get("/api/get_operation_status", operations.operation_status, bodies.OperationStatusQuery),
    _post("/api/cancel_operation", operations.cancel_operation, bodies.CancelOperation, 10),
    _post("/api/get_profiles", learnt.get_profiles, bodies.GetProfiles),
    _post("/api/get_user_playbooks", learnt.get_user_playbooks, bodies.GetUserPlaybooks),
    _post("/api/upgrade_all_profiles", learnt.upgrade_profiles, bodies.UpgradeProfiles),
    _post("/api/upgrade_all_user_playbooks", learnt.upgrade_user_playbooks, bodies.UpgradeUserPlaybooks),
)


def _by_path() -> dict[str, dict[str, Route]]:
    table: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        table.setdefault(route.path, {})[route.method] = route
    return table


TABLE: Final[Mapping[str, Mapping[str, Route]]] = _by_path()
"""Path to method to route."""
