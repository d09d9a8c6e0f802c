"""A sandbox has room for the data of a load test."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_USERS = 10_000
_TURNS = 10
_MEGABYTES = 500

# A process of its own: memory that this one has used before would count.
_SCRIPT = """
import asyncio, json, re, resource, sys
from pathlib import Path
from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox

def megabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # the other figure begins with that of the process that started this one
        return int(re.search("VmHWM: *([0-9]+) kB", status.read_text().replace("\\t", " "))[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes

async def main(users: int, turns: int) -> None:
    async with Sandbox() as box:
        for user in range(users):
            texts = [f"I like dish number {turn} of the restaurant in my street" for turn in range(turns)]
            box.seed(f"user-{user}", *texts, session_id=f"session-{user}")
        async with AsyncReflexioClient(url_endpoint=box.url) as client:
            page = await client.get_interactions(user_id=f"user-{users - 1}")
            found = await client.search_interactions(user_id="user-7", query="dish")
    print(json.dumps({
        "stored": sum(len(request.interactions) for request in box.stored_requests.values()),
        "read": len(page.interactions),
        "found": len(found.interactions),
        "megabytes": megabytes(),
    }))

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
"""


@pytest.mark.slow
def test_ten_thousand_users_and_a_hundred_thousand_interactions_fit_and_are_read() -> None:
    command = [sys.executable, "-c", _SCRIPT, str(_USERS), str(_TURNS)]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert (result["stored"], result["read"], result["found"]) == (_USERS * _TURNS, _TURNS, _TURNS)
    assert result["megabytes"] < _MEGABYTES
