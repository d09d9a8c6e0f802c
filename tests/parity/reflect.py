"""What the Reflect contract and the official Reflect client say, beside what this client says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from reflexio_async import AsyncReflectClient
from reflexio_async.reflect import models
from tests.calls import calls
from tests.parity.compare import (
    HERE,
    Comparison,
    compare_methods,
    compare_routes,
    compare_schemas,
    models_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTRACT = json.loads((HERE / "reflect.openapi.json").read_text())
OFFICIAL = json.loads((HERE / "reflect_official.json").read_text())

# Other ways to call an endpoint that another call has.
VARIANTS = ("augment_with_memories", "create_memory", "create_trace_and_wait")


def routes() -> Iterator[Comparison]:
    """Every route: who calls it, with what, and for what."""
    ours = calls(AsyncReflectClient)
    own = [call for name, call in ours.items() if name.removesuffix("_async") not in VARIANTS]
    yield from compare_routes(CONTRACT, own, "reflect ")


def fields() -> Iterator[Comparison]:
    """Every field of every schema."""
    yield from compare_schemas(CONTRACT, models_in(models), models, "reflect ")


def methods() -> Iterator[Comparison]:
    """Every method of the official client: its route, and each parameter with its position and default."""
    yield from compare_methods(OFFICIAL["methods"], AsyncReflectClient, "reflect ")


def table() -> list[Comparison]:
    """All of it."""
    return [*routes(), *fields(), *methods()]
