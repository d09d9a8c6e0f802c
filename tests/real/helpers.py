"""What the tests against the real server share."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from reflexio_async import AsyncReflexioClient, Status
from tests.hang import A_HANG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reflexio_async.reflexio.models.interactions import PublishUserInteractionResponse
    from reflexio_async.testing import RealServer

PROFILES = "/api/rerun_profile_generation"
PLAYBOOKS = "/api/rerun_playbook_generation"
TURN = {"role": "user", "content": "I like sushi"}


def client_of(server: RealServer, **options: Any) -> AsyncReflexioClient:
    """A client of ``server``. The server has frozen for good under load, so no call waits for long."""
    given: dict[str, Any] = {"timeout": 30.0, **options}
    return AsyncReflexioClient(url_endpoint=server.url, **given)


async def publish(client: AsyncReflexioClient, user: str, **fields: Any) -> PublishUserInteractionResponse:
    """One turn of ``user``, from which one rerun makes one profile."""
    given: dict[str, Any] = {"session_id": f"s-{user}", "interactions": [TURN], **fields}
    return await client.publish_interaction(user, **given)


async def publish_each(client: AsyncReflexioClient, users: Iterable[str], **fields: Any) -> None:
    for user in users:
        await publish(client, user, **fields)


async def pending(client: AsyncReflexioClient, user: str) -> int:
    """How many pending profiles the server holds of ``user``."""
    answer = await client.get_profiles(user_id=user, status_filter=[Status.PENDING], force_refresh=True)
    return len(answer.user_profiles)


async def current(client: AsyncReflexioClient, user: str) -> int:
    """How many current profiles the server holds of ``user``."""
    return len(
        (await client.get_profiles(user_id=user, status_filter=[None], force_refresh=True)).user_profiles
    )


async def pending_of_each(client: AsyncReflexioClient, users: Iterable[str]) -> dict[str, int]:
    return {user: await pending(client, user) for user in users}


async def soon_pending(
    client: AsyncReflexioClient, users: list[str], within: float = A_HANG
) -> dict[str, int]:
    """``pending_of_each`` once it is one for every user, or after ``within`` seconds."""
    deadline = time.monotonic() + within
    while True:
        found = await pending_of_each(client, users)
        if all(found.values()) or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.05)


def starts(server: RealServer, path: str = PROFILES) -> Counter[int]:
    """How many POSTs to ``path`` the server answered so far, by status."""
    return Counter(entry.status for entry in server.access_log() if entry[:2] == ("POST", path))
