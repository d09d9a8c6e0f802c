"""The same calls without the client: aiohttp and the client's response models, and nothing else.

``Best``: as fast as they go. URLs are parsed once, headers made once, bytes go straight to the model.
``Usual``: as it is mostly written: the URL as text, ``json=…``, ``json.loads``, ``Model(**data)``.
Both have a timeout and an error for a bad status; neither retries, paces, or tells refusals.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from reflexio_async.reflexio.models.profiles import GetProfilesViewResponse

if TYPE_CHECKING:
    from benchmarks.rounds import Call

TOP_K = 20


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300))


def best_post(http: aiohttp.ClientSession, url: str) -> Call:
    address = URL(f"{url}/api/get_profiles")
    headers = {"Authorization": "Bearer key-1", "Content-Type": "application/json"}

    async def call() -> int:
        body = json.dumps({"user_id": "user-1", "top_k": TOP_K}).encode()
        async with http.post(address, data=body, headers=headers) as response:
            response.raise_for_status()
            answer = GetProfilesViewResponse.model_validate_json(await response.read())
        return len(answer.user_profiles)

    return call


def best_get(http: aiohttp.ClientSession, url: str) -> Call:
    address = URL(f"{url}/api/get_all_profiles?limit={TOP_K}")
    headers = {"Authorization": "Bearer key-1"}

    async def call() -> int:
        async with http.get(address, headers=headers) as response:
            response.raise_for_status()
            answer = GetProfilesViewResponse.model_validate_json(await response.read())
        return len(answer.user_profiles)

    return call


def usual_post(http: aiohttp.ClientSession, url: str) -> Call:
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


def usual_get(http: aiohttp.ClientSession, url: str) -> Call:
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
