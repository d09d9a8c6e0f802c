"""What the Reflect contract and the official Reflect client say, beside what this client says."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING

from reflexio_async import AsyncReflectClient
from reflexio_async.reflect import client as reflect_client
from tests.parity.compare import (
    HERE,
    Line,
    _any_id,
    _our_parameter,
    _parameter,
    _routes,
    _schemas,
    models,
    rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTRACT = json.loads((HERE / "reflect.openapi.json").read_text())
OFFICIAL = json.loads((HERE / "reflect_official.json").read_text())

# Other ways to call an endpoint that has a row of its own.
VARIANTS = ("augment_with_memories", "create_memory", "create_trace_and_wait")


def routes() -> Iterator[Line]:
    """Every route: who calls it, with what, and for what."""
    bootstrap = reflect_client._BOOTSTRAP
    own = [
        row for name, row in rows(AsyncReflectClient).items() if name.removesuffix("_async") not in VARIANTS
    ]
    ours = {(row.endpoint.method, row.endpoint.path): row for row in own}
    yield from _routes(CONTRACT, {**ours, (bootstrap.method, bootstrap.path): bootstrap}, "reflect ")


def fields() -> Iterator[Line]:
    """Every field of every schema."""
    ours = models(["models", "requests"], "reflexio_async.reflect")
    schemas = CONTRACT["components"]["schemas"]
    yield from _schemas(schemas, ours, "reflect ", enums_in="reflexio_async.reflect.models")


def methods() -> Iterator[Line]:
    """Every method of the official client: its route, and each parameter with its default."""
    client = AsyncReflectClient(base_url="http://127.0.0.1:1")
    for name, method in OFFICIAL["methods"].items():
        call = getattr(client, name, None)
        if call is None:
            yield Line(f"reflect {name}()", "a method", "absent")
            continue
        row = rows(AsyncReflectClient).get(name)
        if row is not None:
            theirs = f"{method['verb']} {_any_id(method['path'])}"
            yield Line(
                f"reflect {name}() route", theirs, f"{row.endpoint.method} {_any_id(row.endpoint.path)}"
            )
        signature = inspect.signature(call)
        for parameter, given in method["parameters"].items():
            default = given["default"]
            yield Line(
                f"reflect {name}({parameter})",
                _parameter(given.get("position"), default),
                _our_parameter(signature, parameter, shown=default not in (None, "None")),
            )


def lines() -> list[Line]:
    """The whole table."""
    return [*routes(), *fields(), *methods()]
