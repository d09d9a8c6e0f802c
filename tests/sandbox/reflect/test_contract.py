"""Every route of the contract is there, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox.reflect.handlers import ROUTER

if TYPE_CHECKING:
    from tests.sandbox.reflect.conftest import Reflects

_LINES = (Path(__file__).parent / "contract_routes.txt").read_text(encoding="utf-8").splitlines()
CONTRACT = {tuple(line.split()) for line in _LINES}

_NONSENSE: list[Any] = [
    {},
    [],
    None,
    {"task": 3, "trajectory": {}, "trace_ids": "x", "scopes": 1, "n_passed": "many"},
    {"task": "t", "trajectory": "[" * 10_000},
    {"task": "t", "trajectory": [{"role": "assistant", "content": "", "tool_calls": [3, {"function": 3}]}]},
    {"result": "success"},
]


def test_the_routes_are_those_of_the_contract() -> None:
    assert {(route.method, route.path) for route in ROUTER.routes} == CONTRACT


async def test_no_route_crashes_on_empty_or_invalid_bodies(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        for method, path in sorted(CONTRACT):
            named = path.replace("{", "").replace("}", "")
            for body in _NONSENSE:
                answer = await wire.send(method, named, json=body)
                assert answer.status < 500, (method, path, body, answer.text)


async def test_a_path_that_is_not_there_is_not_found_even_without_a_key(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        answer = await wire.keyless().get("/v2/projects")
        assert (answer.status, answer.json) == (404, {"detail": "Not Found"})


async def test_a_wrong_method_names_the_right_ones(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        answer = await wire.delete(wire.at("/traces"))
        assert (answer.status, answer.json) == (405, {"detail": "Method Not Allowed"})
        assert answer.headers["Allow"] == "GET, POST"


async def test_a_trailing_slash_is_redirected(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        answer = await wire.get(wire.at("/traces/"))
        assert (answer.status, answer.headers["Location"]) == (307, f"{wire.url}{wire.at('/traces')}")


async def test_an_invalid_value_is_echoed(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        answer = await wire.post(wire.at("/memory/query"), task="t", limit="ten")
        assert answer.status == 422
        [problem] = answer.json["detail"]
        assert (problem["loc"], problem["type"], problem["input"]) == (
            ["body", "limit"],
            "int_parsing",
            "ten",
        )


async def test_a_body_that_is_not_json_gets_the_position_of_the_error(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        headers = {"Content-Type": "application/json"}
        answer = await wire.send("POST", wire.at("/traces"), data='{"task": ', headers=headers)
        [problem] = answer.json["detail"]
        assert (answer.status, problem["type"], problem["loc"]) == (422, "json_invalid", ["body", 9])


async def test_no_body_is_a_missing_body(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        headers = {"Content-Type": "application/json"}
        answer = await wire.send("POST", wire.at("/traces"), data=b"", headers=headers)
        [problem] = answer.json["detail"]
        assert (answer.status, problem["type"], problem["loc"]) == (422, "missing", ["body"])


async def test_health_needs_no_key(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        answer = await wire.keyless().get("/health")
        assert (answer.status, answer.json) == (200, {"status": "ok"})
