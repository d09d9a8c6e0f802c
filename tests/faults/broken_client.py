"""A client that is broken on purpose, to show that the schedules find it out."""

from __future__ import annotations

from typing import Any

from reflexio_async import AsyncReflexioClient, ReflexioError
from tests.faults import simulation


class DeniesPublishes(AsyncReflexioClient):
    """Publishes, and reports an error all the same."""

    async def publish_interaction(self, *args: Any, **fields: Any) -> Any:
        await super().publish_interaction(*args, **fields)
        message = "nothing was sent"
        raise ReflexioError(message)


def break_the_client() -> None:
    """Use it in every simulation from now on."""
    simulation.AsyncReflexioClient = DeniesPublishes  # type: ignore[attr-defined]
