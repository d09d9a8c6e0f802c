"""A decorator: every call of a function is a run. What it returns, text or a TraceResult, is sent.

Set REFLECT_API_URL and REFLECT_API_KEY, or run a local server: reflexio-async sandbox.
"""

import asyncio

from reflexio_async import AsyncReflectClient, TraceContext, TraceResult, reflect_trace


def task(left: int, right: int) -> str:
    """The task of a call, from its arguments."""
    return f"{left} + {right}"


async def main() -> None:
    async with AsyncReflectClient() as client:

        @reflect_trace(client, metadata={"agent": "adder"})
        async def answer(ctx: TraceContext, question: str) -> str:
            return f"{question} is 4, says a model with {len(ctx.memories)} memories"

        @reflect_trace(client, task=task, blocking=True)
        async def add(ctx: TraceContext, left: int, right: int) -> TraceResult[int]:
            total = left + right
            return TraceResult(total, trajectory=f"{ctx.task} = {total}", result="pass", model="none")

        print(await answer("2 + 2"))
        print(await add(2, 3))
        memories = await client.query_memories("2 + 3")
        print(len(memories), "memory:", memories[0].task)


if __name__ == "__main__":
    asyncio.run(main())
