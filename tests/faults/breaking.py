"""A client that is broken on purpose, for what is to find that out."""

from __future__ import annotations

from typing import Any

from reflexio_async import AsyncReflexioClient, ReflexioError
from tests.faults import stage


class DeniesPublishes(AsyncReflexioClient):
    """Publishes, and says that it did not."""

    async def publish_interaction(self, *args: Any, **fields: Any) -> Any:
        await super().publish_interaction(*args, **fields)
        message = "nothing was sent"
        raise ReflexioError(message)


def break_the_client() -> None:
    """Let the schedules play with it, from now on."""
    stage.AsyncReflexioClient = DeniesPublishes  # type: ignore[attr-defined]
