"""The conformance suite passes an agent written by hand, and fails what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reflexio_async.testing import conformance
from reflexio_async.testing.conformance import AdapterConformance

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient, Conversation, MemoryContext
    from reflexio_async.testing.conformance import Ask, Model


class Agent(AdapterConformance):
    """An agent without a framework."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        async def ask(user_id: str, session_id: str, question: str) -> str:
            talk = client.conversation(user_id=user_id, session_id=session_id)
            prompt = await self.prompt(talk, question)
            answer = await model(prompt)
            await self.publish(talk, prompt, question, answer)
            return answer

        return ask

    async def prompt(self, talk: Conversation, question: str) -> str:
        return f"{await self.recall(talk, question)}\n{question}"

    async def recall(self, talk: Conversation, question: str) -> MemoryContext:
        return await talk.context(question, timeout=self.recall_timeout)

    async def publish(self, talk: Conversation, prompt: str, question: str, answer: str) -> None:
        del prompt
        await talk.add([{"role": "user", "content": question}, {"role": "assistant", "content": answer}])


class TestByHand(Agent):
    """It is what an adapter should be."""


class Forgetful(Agent):
    async def prompt(self, talk: Conversation, question: str) -> str:
        await self.recall(talk, question)
        return question


class Parrot(Agent):
    """Its fence around the memory is not ours, and it publishes the prompt."""

    async def prompt(self, talk: Conversation, question: str) -> str:
        context = await self.recall(talk, question)
        return f"Known: {[each.content for each in context.profiles]} {question}"

    async def publish(self, talk: Conversation, prompt: str, question: str, answer: str) -> None:
        await super().publish(talk, question, prompt, answer)


class Twice(Agent):
    async def publish(self, talk: Conversation, prompt: str, question: str, answer: str) -> None:
        for _ in range(2):
            again = talk._client.conversation(user_id=talk.user_id, session_id=talk.session_id)
            await super().publish(again, prompt, question, answer)


class Patient(Agent):
    async def recall(self, talk: Conversation, question: str) -> MemoryContext:
        return await talk.context(question, timeout=60)


class Shared(Agent):
    """All users have one conversation."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        talk = client.conversation(user_id="ana", session_id="s1")

        async def ask(user_id: str, session_id: str, question: str) -> str:
            del user_id, session_id
            answer = await model(f"{await self.recall(talk, question)}\n{question}")
            await self.publish(talk, "", question, answer)
            return answer

        return ask


@pytest.mark.parametrize(
    ("agent", "test"),
    [
        (Forgetful, "test_memory_reaches_the_model"),
        (Forgetful, "test_every_injected_item_and_no_other_is_reported"),
        (Parrot, "test_recalled_text_is_not_published"),
        (Twice, "test_each_turn_is_published_once_with_the_identity_of_its_run"),
        (Twice, "test_what_was_found_to_be_nothing_is_reported_as_an_empty_list"),
        (Patient, "test_a_server_that_hangs_does_not_stop_the_agent"),
        (Shared, "test_two_users_at_once_never_mix"),
    ],
)
async def test_what_is_wrong_fails(agent: type[Agent], test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "_SLACK", 1.0)  # for the one that waits too long
    with pytest.raises((AssertionError, TimeoutError, ValueError, KeyError)):
        await getattr(agent(), test)()
