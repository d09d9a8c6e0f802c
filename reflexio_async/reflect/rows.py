"""Rows of the Reflect server: most of them within a project, which the client fills in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from pydantic import BaseModel

from reflexio_async._engine.routing.route import Route
from reflexio_async._engine.wire import Endpoint, Hints
from reflexio_async.reflect.requests import InProject

if TYPE_CHECKING:
    from reflexio_async._engine.engine import Engine
    from reflexio_async._engine.settings import Settings

P = ParamSpec("P")
Req = TypeVar("Req", bound=BaseModel)
Res = TypeVar("Res")
Within = TypeVar("Within", bound=InProject)

PROJECT = "/v1/projects/{project_id}"
_HINTS = Hints(
    url="is the base URL (base_url, REFLECT_API_URL) the API host itself?",
    key="pass api_key, or set REFLECT_API_KEY",
)


def of_reflect(endpoint: Endpoint) -> Endpoint:
    """``endpoint``, whose errors speak of Reflect's options; ``success`` there is how a run went."""
    return replace(endpoint, refusal="never", hints=_HINTS)


def in_project(request: Within, settings: Settings) -> Within:
    """``request`` with the client's project, unless it names another."""
    if request.project_id is not None:
        return request
    return request.model_copy(update={"project_id": settings.project_id})


class ReflectRoute(Route[P, Req, Res]):
    """One endpoint of the Reflect server; its errors speak of Reflect's options."""

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        self.endpoint = of_reflect(self.endpoint)


class ProjectRoute(ReflectRoute[P, Within, Res]):
    """One endpoint below ``/v1/projects/{project_id}``."""

    async def send(self, engine: Engine, request: Within) -> Res:
        """Carry out one call of this row, in the request's project or the client's."""
        return await super().send(engine, in_project(request, engine.settings))
