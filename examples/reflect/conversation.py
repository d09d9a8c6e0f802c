"""A conversation whose intent changes: an early intent finds memories, the late intent is what is remembered.

Set REFLECT_API_URL and REFLECT_API_KEY, or run a local server: reflexio-async sandbox.
"""

import asyncio

from reflexio_async import AsyncReflectClient

CUSTOMER = [
    "I want to change the address of order 17, please.",
    "It has left already? Then cancel order 17.",
]
NOTHING = "no clear intent"


async def distil(history: list[str]) -> str:
    """Stands for a language model that says in one sentence what the user wants."""
    if "cancel" in history[-1]:
        return "cancel an order that has left the warehouse"
    return "change the address of an order" if "address" in history[-1] else NOTHING


def action_type(intent: str) -> str:
    return intent.partition(" ")[0]


async def reply(message: str, prompt: str) -> str:
    """Stands for the language model of the agent, whose prompt has the memories."""
    known = "a label for the return" in prompt
    if "cancel" in message:
        return "It is cancelled." + (" Here is a label for the return." if known else "")
    return "The order has left the warehouse."


async def talk(client: AsyncReflectClient, messages: list[str]) -> None:
    history = messages[:1]
    early = await distil(history)  # the whole conversation would be a bad query
    async with client.trace(
        early, limit=5, lambda_=0.1, similarity_threshold=0.2, metadata={"channel": "chat"}, blocking=True
    ) as ctx:
        print(f"{len(ctx.memories)} memories for: {early}")
        answer = await reply(messages[0], ctx.augmented_task)
        for message in messages[1:]:
            answer = await reply(message, ctx.augmented_task)
            history += [message]
        late = await distil(history)
        if late != NOTHING:  # a task that says nothing would only be found by mistake
            right = "label" in answer
            ctx.set_output(
                task=late,
                trajectory=f"The user wanted to {early}, and in the end to {late}. Answer: {answer}",
                final_response=answer,
                # An automatic judge errs at times: a small alpha keeps its mistakes small.
                result="pass" if right else "fail",
                feedback_text=None if right else "Send a label for the return as well.",
                alpha=0.1,
                metadata={"action_types": sorted({action_type(early), action_type(late)})},
            )
    print(answer)


async def main() -> None:
    async with AsyncReflectClient() as client:
        await talk(client, CUSTOMER)
        await talk(client, CUSTOMER)
        found = await client.query_memories(
            "cancel an order", similarity_threshold=0.2, metadata_filter={"action_types": "change"}
        )
        print(f"{len(found)} memories that began as a change")


if __name__ == "__main__":
    asyncio.run(main())
