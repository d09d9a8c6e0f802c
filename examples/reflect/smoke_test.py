"""A smoke test of your server: a passed run becomes a memory, and a similar task finds it.

Set REFLECT_API_URL, REFLECT_API_KEY and REFLECT_PROJECT_ID. The exit code is 0 when all is well.
"""

import asyncio
import sys
import uuid

from reflexio_async import AsyncReflectClient, JobError, ReflexioError
from reflexio_async.reflect import presets


async def smoke_test(client: AsyncReflectClient) -> str:
    """Return what is wrong; an empty text when all is well."""
    mark = uuid.uuid4().hex[:8]  # finds the memory of this very run
    try:
        seed = f"smoke test {mark}: configure exponential backoff for an unreliable upstream"
        async with client.trace(seed) as ctx:
            ctx.set_output(trajectory=f"User: {seed}\nAssistant: Five attempts, with jitter.", result="pass")
        assert ctx.job is not None
        trace = await ctx.job.result(wait_timeout=30)

        probe = f"smoke test {mark}: add retries with backoff to an unreliable client"
        async with client.trace(probe, **presets.COLD_START) as ctx:
            ctx.set_output(trajectory=f"User: {probe}\nAssistant: (none)")  # no result: no q-value changes
        if trace.created_memory_id not in ctx.memory_ids:
            return "the memory is not found by a similar task: is the project the same, the threshold low?"
    except JobError as error:
        return f"no memory was made of the trace: {error}"
    except ReflexioError as error:
        return f"{type(error).__name__}: {error}"
    return ""


async def main() -> int:
    async with AsyncReflectClient() as client:
        problem = await smoke_test(client)
    print(f"FAIL: {problem}" if problem else "PASS")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
