"""What the Reflect contract says, beside what this client says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async import AsyncReflectClient
from reflexio_async.reflect import models
from tests.calls import calls
from tests.parity.compare import (
    Comparison,
    compare_routes,
    compare_schemas,
    load,
    models_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTRACT = load("reflect.openapi.json")

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


def table() -> list[Comparison]:
    """All of it."""
    return [*routes(), *fields()]
