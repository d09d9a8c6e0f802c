"""The same calls written by hand, as most people write them: aiohttp and the client's response models.

The URL is text, the body goes through ``json=``, the response through ``json.loads`` and ``Model(**data)``.
There is a timeout, and an error for a bad status. There are no retries, no rate limits and no typed errors.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aiohttp

from reflexio_async.reflexio.models.profiles import GetProfilesViewResponse

if TYPE_CHECKING:
    from benchmarks.rounds import Call

TOP_K = 20


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300))


def post(http: aiohttp.ClientSession, url: str) -> Call:
    async def call() -> int:
        async with http.post(
            f"{url}/api/get_profiles",
            json={"user_id": "user-1", "top_k": TOP_K},
            headers={"Authorization": "Bearer key-1"},
        ) as response:
            response.raise_for_status()
            answer = GetProfilesViewResponse(**json.loads(await response.read()))
        return len(answer.user_profiles)

    return call


def get(http: aiohttp.ClientSession, url: str) -> Call:
    async def call() -> int:
        async with http.get(
            f"{url}/api/get_all_profiles",
            params={"limit": TOP_K},
            headers={"Authorization": "Bearer key-1"},
        ) as response:
            response.raise_for_status()
            answer = GetProfilesViewResponse(**json.loads(await response.read()))
        return len(answer.user_profiles)

    return call
