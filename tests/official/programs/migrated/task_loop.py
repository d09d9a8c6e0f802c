"""An agent's loop with Reflect: each run is traced, and later runs have the memories of earlier ones."""

import asyncio
import sys

from reflexio_async import ReflectClient, TraceResult, reflect_trace

ROWS = {"orders": 42, "users": 7}


def agent(prompt, table):
    return str(ROWS[table]) if "COUNT(*)" in prompt else "about 40"


async def run(client, table):
    task = f"count the rows of the {table} table"
    augmented = await client.augment_with_memories(task, limit=3)
    answer = agent(augmented.augmented_task, table)
    right = answer == str(ROWS[table])
    trace = await client.create_trace_and_wait(
        task=task,
        trajectory=[
            {"role": "user", "content": augmented.augmented_task},
            {"role": "assistant", "content": answer},
        ],
        retrieved_memory_ids=[memory.id for memory in augmented.memories],
        metadata={"table": table},
        review_result="success" if right else "failure",
        feedback_text=None if right else "It guessed; count with SELECT COUNT(*).",
        wait_timeout=10,
    )
    print(task, "->", answer, trace.review_status, len(trace.retrieved_memory_ids))
    print("a memory was made:", trace.created_memory_id is not None)


async def ask(client, table):
    task = f"count the rows of the {table} table again"
    async with client.trace(task, blocking=True) as ctx:
        answer = agent(ctx.augmented_task, table)
        ctx.set_output(trajectory=f"The agent said {answer}.", final_response=answer, result="pass", model="fake")
    print(task, "->", answer, len(ctx.memories) > 0, ctx.trace_id is not None)


async def main(url, key):
    client = ReflectClient(base_url=url, api_key=key)
    status = await client.health()
    print(sorted(status))
    for table in ROWS:
        await run(client, table)
    await ask(client, "orders")

    @reflect_trace(client, limit=2)
    async def answer(ctx, question):
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "42"}]
        return TraceResult("42", messages, result="pass")

    said = await answer("count the rows of the orders table, please")
    print("decorated:", said)

    memory = await client.create_memory(task="greet", summary="Greet first", guidance="Say hello", result="pass")
    known = await client.wait_for_trace(memory.id, require_reviewed=True)
    print("a lesson of one's own:", known.review_status)
    submission = await client.create_trace(task="say goodbye", trajectory="I said goodbye.")
    stored = await client.wait_for_trace(submission.id)
    reviewed = await client.review_trace(stored.id, result="fail", feedback_text="Too short")
    print("reviewed later:", reviewed.review.result)
    memories = await client.query_memories("greet", limit=1)
    print([found.guidance for found in memories])
    traces = await client.list_traces(review_status="reviewed")
    print(len(traces), "traces")
    await client.delete_traces([trace.id for trace in traces])
    left = await client.list_traces()
    print(len(left), "left")
    skill = await client.get_skill()
    print("skill:", skill)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
