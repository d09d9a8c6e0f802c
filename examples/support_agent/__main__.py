"""A support agent that learns across sessions. It needs no key of a language model.

    python examples/support_agent

Ana writes to the support of a shop on three days, in three sessions. On the first day the agent must ask how
she wants her money back. From then on it knows. Ben writes too: what Ana likes is not told to him. In the
end a person of the shop approves a piece of guidance, and the agent follows it with every user.

It runs on a sandbox in this process. With REFLEXIO_API_URL set it uses your server, where learning takes
longer, and what is learned depends on your server's language model.

To use a real language model, replace the body of ``model``: it gets the messages of a chat, and returns the
text of the answer.
"""

import asyncio
import os
from contextlib import AsyncExitStack

from reflexio_async import AsyncReflexioClient
from reflexio_async.testing import Sandbox

INSTRUCTIONS = "You are the support agent of a shop. If something is unclear, ask back once."
GUIDANCE = "Refund for a broken order: ask for a photo of it."
WAYS = ("store credit", "bank transfer")
Message = dict[str, str]


async def model(messages: list[Message]) -> str:
    """Stands for a language model: all that it knows is in the prompt.

    With OpenAI's package: ``await openai.chat.completions.create(model=…, messages=messages)``, and its text.
    """
    system, last = messages[0], messages[-1]
    order = next(word for word in messages[1]["content"].split() if word.isdigit())
    known = [how for said in (last, system) for how in WAYS if how in said["content"]]
    if not known:
        return "I am sorry. Do you want a refund by bank transfer, or as store credit?"
    photo = " Please send a photo of it." if "ask for a photo" in system["content"] else ""
    return f"Refund for order {order} as {known[0]}, with my apologies.{photo}"


class SupportAgent:
    """Answers users, and counts how often it has to ask back."""

    def __init__(self, client: AsyncReflexioClient) -> None:
        self.client = client

    async def session(self, user_id: str, session_id: str, *texts: str) -> int:
        """Talk with a user until the agent has answered without a question. Return how often it asked."""
        talk = self.client.conversation(user_id=user_id, session_id=session_id, source="support")
        history: list[Message] = []
        questions, call = 0, None
        print(f"\n{session_id}")
        for text in texts:  # the later ones answer a question
            history.append({"role": "user", "content": text})
            context = await talk.context(text, timeout=10)  # seconds; never raises because of a server
            system = {"role": "system", "content": f"{INSTRUCTIONS}\n\n{context}"}
            answer = await model([system, *history])
            history.append({"role": "assistant", "content": answer})
            call = await talk.add(history)  # goes to the outbox, and is published in the background
            print(f"  {user_id}: {text}")
            print(f"  agent: {answer}  [{len(context.learnings)} memories]")
            if not answer.endswith("?"):
                break
            questions += 1
        # Only this example waits. By itself the server learns when a user has said enough: 10 turns.
        await self.client.outbox.drained()
        await self.client.finalize_session(user_id, session_id)
        if call is not None:
            await self.client.learning(call.request_id)
        return questions


async def main() -> None:
    async with AsyncExitStack() as stack:
        url = os.environ.get("REFLEXIO_API_URL", "")
        if not url:
            url = (await stack.enter_async_context(Sandbox())).url
        client = await stack.enter_async_context(AsyncReflexioClient(url_endpoint=url))
        agent = SupportAgent(client)
        broken = "My order {} arrived broken, I want a refund"
        asked = {
            "ana": [
                await agent.session("ana", "ana-monday", broken.format(1007), "As store credit, please"),
                await agent.session("ana", "ana-tuesday", broken.format(1023)),
            ],
            "ben": [
                await agent.session("ben", "ben-tuesday", broken.format(1031), "By bank transfer"),
            ],
        }
        await approve(client, GUIDANCE)
        asked["ana"].append(await agent.session("ana", "ana-friday", broken.format(1044)))
        print(f"\nThe agent asked ana back {asked['ana']} times in her sessions, and ben {asked['ben']}.")


async def approve(client: AsyncReflexioClient, guidance: str) -> None:
    """What a person of the shop does, here in a program: write guidance for all users, and approve it."""
    await client.add_agent_playbooks([{"content": guidance, "agent_version": "agent-v0"}])
    print(f"\nApproved for all users: {guidance}")
    found = await client.get_agent_playbooks()
    for playbook in found.agent_playbooks:
        if playbook.content == guidance:
            await client.update_agent_playbook_status(playbook.agent_playbook_id, playbook_status="approved")


if __name__ == "__main__":
    asyncio.run(main())
