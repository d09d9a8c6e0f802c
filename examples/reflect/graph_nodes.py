"""Nodes of a graph: one node opens the trace, a later one closes it, each in a task of its own.

The nodes take a state and return what changes in it, as the nodes of LangGraph do. A state that is saved by
a checkpointer cannot hold a context: keep it outside, for example in a dict by thread id.

Set REFLECT_API_URL and REFLECT_API_KEY, or run a local server: reflexio-async sandbox.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from reflexio_async import AsyncReflectClient, TraceContext

State = dict[str, Any]
Node = Callable[[State], Coroutine[Any, Any, State]]


def nodes(client: AsyncReflectClient) -> list[Node]:
    async def retrieve(state: State) -> State:
        ctx = await client.open_trace(
            state["question"], limit=5, lambda_=0.1, similarity_threshold=0.2, blocking=True
        )
        return {"trace": ctx, "prompt": ctx.augmented_task}

    async def respond(state: State) -> State:
        return {"answer": f"Answered with {len(state['trace'].memories)} memories."}

    async def record(state: State) -> State:
        ctx: TraceContext = state["trace"]
        if state["question"] != "Hello":  # closed without an output, a trace is not sent
            ctx.set_output(
                trajectory=f"User: {state['question']}\nAssistant: {state['answer']}",
                final_response=state["answer"],
                result="pass",
            )
        await ctx.close()
        return {}

    return [retrieve, respond, record]


async def run(graph: list[Node], question: str) -> str:
    """Stands for ``graph.ainvoke``."""
    state: State = {"question": question}
    try:
        for node in graph:
            state |= await asyncio.create_task(node(state))
    except BaseException as error:  # after a cancellation, close sends nothing
        trace: TraceContext | None = state.get("trace")
        if trace is not None:
            await trace.close(error)
        raise
    return str(state["answer"])


async def main() -> None:
    async with AsyncReflectClient() as client:
        graph = nodes(client)
        for question in ("Hello", "How do I reset my password?", "How do I reset a lost password?"):
            print(await run(graph, question))


if __name__ == "__main__":
    asyncio.run(main())
