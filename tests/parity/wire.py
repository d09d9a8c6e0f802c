"""What our client sends for a call that is written for the official client, beside what that client sends."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import reflexio_async
from reflexio_async import AsyncReflectClient, AsyncReflexioClient, ReflexioError
from tests.parity import reflect
from tests.parity.compare import CONTRACT, Comparison
from tests.parity.official_calls import REFLECT, REFLEXIO, called
from tests.parity.official_data import OFFICIAL
from tests.parity.recording import NOW, Names, RecordingServer, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Requests = list[dict[str, Any]]

_NOTHING = "nothing"


def table() -> list[Comparison]:
    """Every part of every request, once for each package and call."""
    ours = _sends()
    return [
        line
        for package in OFFICIAL.values()
        for call, theirs in package.calls.items()
        for line in _compare(f"wire {called(call)}", theirs, ours[call])
    ]


def _compare(what: str, theirs: Requests, ours: Requests | str) -> Iterator[Comparison]:
    if isinstance(ours, str):
        yield Comparison(what, "is sent", ours)
        return
    for number in range(max(len(theirs), len(ours))):
        their, our = (_parts(side[number]) if number < len(side) else {} for side in (theirs, ours))
        for part in sorted({*their, *our}):
            yield Comparison(f"{what} {part}", their.get(part, _NOTHING), our.get(part, _NOTHING))


# --- what our client sends


@cache
def _sends() -> dict[str, Requests | str]:
    """For each call the requests that our client sends; or the error, if it refuses the call."""
    return asyncio.run(_record_all())


async def _record_all() -> dict[str, Requests | str]:
    with RecordingServer() as server, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {call: await _record(server, call) for call in (*REFLEXIO, *REFLECT)}


async def _record(server: RecordingServer, call: str) -> Requests | str:
    reflexio = AsyncReflexioClient("key", server.url)
    reflect = AsyncReflectClient(base_url=server.url, api_key="key", project_id="my project")
    failure: Exception | None = None
    async with reflexio, reflect:
        names = Names(
            reflexio_async,
            client=reflect if call in REFLECT else reflexio,
            session=reflexio.for_session("s"),
            traced=_traced,
            decorated=_decorated,
            URL=server.url,
        )
        try:
            result = evaluate(call, names)
            if inspect.isawaitable(result):
                await result
        except (ReflexioError, TypeError) as error:  # the response is no success
            failure = error
        requests = await asyncio.to_thread(server.take, wait=failure is None)
    return requests or f"{type(failure).__name__}: {failure}"


async def _traced(context: Any, **output: Any) -> None:
    async with context as entered:
        entered.set_output(**output)


async def _decorated(decorator: Any, task: str) -> str:
    async def function(ctx: object, task: object = None) -> str:  # noqa: ARG001  # what such a function takes
        return "4"

    return cast("str", await decorator(function)(task))


# --- what a request says


def _parts(request: dict[str, Any]) -> dict[str, str]:
    """The parts of a request as text, without what the server takes by default."""
    method, path = request["method"], request["path"]
    contract = reflect.CONTRACT if path.startswith("/v1/") or path == "/health" else CONTRACT
    operation = _operation(contract["paths"], method.lower(), path)
    schemas = contract["components"]["schemas"]
    query = {one["name"]: one["schema"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    kinds = operation.get("requestBody", {}).get("content", {})
    body: dict[str, Any] = next(iter(kinds.values()))["schema"] if kinds else {}
    if path == "/api/set_config":
        body = schemas["Config"]  # the contract leaves it open
    parts = {"route": f"{method} {path}"}
    for name, value in request.get("headers", {}).items():
        parts[f"header {name}"] = value
    for name, value in _given(request.get("query", {}), {"properties": query}, schemas).items():
        parts[f"query {name}"] = value
    for name, value in _given(request.get("body", {}), body, schemas).items():
        parts[f"body {name}"] = json.dumps(value, sort_keys=True)
    return parts


def _operation(paths: Mapping[str, Any], verb: str, path: str) -> dict[str, Any]:
    """The operation of a path. ``/a/b`` belongs to ``/a/b`` rather than to ``/a/{id}``."""
    fitting = [template for template in paths if verb in paths[template] and _fits(template, path)]
    template = min(fitting, key=lambda template: template.count("{"))
    return cast("dict[str, Any]", paths[template][verb])


def _fits(template: str, path: str) -> bool:
    pattern = re.sub(r"{\w+}", "[^/]+", template)
    return re.fullmatch(pattern, path) is not None


def _given(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """``value`` without the fields whose absence would mean the same to the server."""
    for part in schema.get("anyOf", (schema,)):
        if "$ref" in part:
            schema = schemas[part["$ref"].rpartition("/")[2]]
        elif "items" in part:
            schema = part
    if isinstance(value, list):
        return [_given(item, schema.get("items", {}), schemas) for item in cast("Any", value)]
    if not isinstance(value, dict):
        return value
    fields = schema.get("properties", {})
    parts = {
        name: (_given(part, fields.get(name, {}), schemas), fields.get(name, {}))
        for name, part in cast("dict[str, Any]", value).items()
    }
    required = schema.get("required", ())
    return {
        name: part
        for name, (part, field) in parts.items()
        if name in required or not _is_default(part, field, schemas)
    }


def _is_default(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> bool:
    if "default" not in schema:
        return value in (None, [], {}, NOW)  # made by the server, unless it is None
    default = _given(schema["default"], schema, schemas)
    return value in (default, str(default))  # a query has texts only
