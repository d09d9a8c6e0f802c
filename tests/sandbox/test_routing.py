"""What a handler of the sandbox gets: what its parameters name."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from pydantic import BaseModel

from reflexio_async.sandbox.http.context import PendingWaits, RequestContext
from reflexio_async.sandbox.http.request_log import Record
from reflexio_async.sandbox.http.responses import Response, ValidationFailed
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.virtual_clock import VirtualClock


class _NumberSchema(BaseModel):
    number: int


def _context(method: str, path: str, body: bytes = b"", **query: str) -> RequestContext:
    headers = {"Content-Type": "application/json"}
    record = Record(method, path, query, headers, at=0.0, connection="")
    return RequestContext(record, body, "", "", (), PendingWaits(VirtualClock()), cast("Any", None))


def _answer(router: Router, context: RequestContext, **values: Any) -> Any:
    async def respond() -> Response:
        route = router.match(context)
        return await route.handle(context, route.parse(context), **values)

    return asyncio.run(respond()).body


def test_a_handler_without_parameters_gets_nothing() -> None:
    router = Router()

    @router.get("/health")
    async def handler() -> Response:
        return Response("ok")

    assert _answer(router, _context("GET", "/health"), state="unused") == "ok"


def test_a_body_is_validated_by_its_annotation() -> None:
    router = Router()

    @router.post("/double")
    async def handler(body: _NumberSchema) -> Response:
        return Response(body.number * 2)

    assert _answer(router, _context("POST", "/double", b'{"number": 4}')) == 8
    with pytest.raises(ValidationFailed):
        _answer(router, _context("POST", "/double", b'{"number": "many"}'))


def test_a_query_is_validated_by_its_annotation() -> None:
    router = Router()

    @router.get("/double")
    async def handler(query: _NumberSchema) -> Response:
        return Response(query.number * 2)

    assert _answer(router, _context("GET", "/double", number="4")) == 8


def test_an_input_that_the_handler_does_not_use_is_validated_too() -> None:
    router = Router()

    @router.post("/ignore")
    async def handler(_body: _NumberSchema) -> Response:
        return Response("ignored")

    assert _answer(router, _context("POST", "/ignore", b'{"number": 4}')) == "ignored"
    with pytest.raises(ValidationFailed):
        _answer(router, _context("POST", "/ignore", b"{}"))


def test_a_handler_gets_parts_of_the_path_and_the_values_of_its_service() -> None:
    router = Router()

    @router.get("/jobs/{job_id}")
    async def handler(state: str, job_id: str) -> Response:
        return Response([state, job_id])

    assert _answer(router, _context("GET", "/jobs/7"), state="stored", project=None) == ["stored", "7"]
