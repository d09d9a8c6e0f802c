"""The sandbox has every route of both contracts, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async.sandbox.reflexio.legacy.routes import LEGACY_ROUTER
from reflexio_async.sandbox.reflexio.routes import ROUTER

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.routing import Router
    from tests.sandbox.conftest import Opens

_LINES = (Path(__file__).parent / "contract_routes.txt").read_text(encoding="utf-8").splitlines()

_NONSENSE: list[Any] = [{}, [], {"user_id": 3}, {"user_id": "", "top_k": 0}]


def _contract(age: str) -> set[tuple[str, str]]:
    rows = [line.split() for line in _LINES]
    return {(method, path) for found, method, path in rows if found == age}


@pytest.mark.parametrize(
    ("age", "table", "more"),
    [
        ("today", ROUTER, {("POST", "/token")}),
        ("january", LEGACY_ROUTER, {("GET", "/"), ("GET", "/health")}),
    ],
    ids=["today", "january"],
)
def test_the_routes_are_those_of_the_contract(age: str, table: Router, more: set[tuple[str, str]]) -> None:
    assert {(route.method, route.path) for route in table.routes} == _contract(age) | more


@pytest.mark.parametrize("legacy", [False, True], ids=["today", "january"])
async def test_no_route_crashes_on_empty_or_invalid_bodies(opened: Opens, *, legacy: bool) -> None:
    """Only storage_stats without a user is a crash of the server."""
    async with opened(legacy=legacy) as (_, wire):
        for method, path in sorted(_contract("january" if legacy else "today")):
            named = path.replace("{", "").replace("}", "")
            for body in _NONSENSE:
                answer = await wire.send(method, named, json=body)
                assert answer.status < 500, (method, path, body, answer.text)
        if not legacy:
            assert (await wire.get("/api/storage_stats", user_id="")).status == 500
