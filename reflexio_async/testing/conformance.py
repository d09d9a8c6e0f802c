"""Tests that every adapter of an agent framework must pass.

Run them on yours:

    import pytest

    from reflexio_async import AsyncReflexioClient
    from reflexio_async.testing.conformance import AdapterConformance, Ask, Model


    @pytest.mark.asyncio
    class TestMyAdapter(AdapterConformance):
        def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
            agent = MyAgent(memory=MyAdapter(client), model=MyFakeModel(model))

            async def ask(user_id: str, session_id: str, question: str) -> str:
                return await agent.run(question, user=user_id, session=session_id)

            return ask

pytest runs each test with pytest-asyncio, or on asyncio with anyio's plugin. They start a sandbox of their
own, and run in real time. Nothing here needs pytest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from reflexio_async.client import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox, faults

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

Model: TypeAlias = Callable[[str], Awaitable[str]]
"""Answers a prompt: all text that the framework sends to its model, with the system prompt."""

Ask: TypeAlias = Callable[[str, str, str], Awaitable[str]]
"""Runs an agent once, for a user id, a session id and a question. Returns the agent's answer."""

_SEARCH, _PUBLISH = "/api/search", "/api/publish_interaction"
_KEY = "key-of-the-conformance-suite"
_SLACK = 30.0  # seconds that a busy machine may add to the timeout of a recall
_A_HANG = 60.0  # seconds after which what has not ended hangs


class AdapterConformance:
    """The tests. A subclass says how to run an agent of its framework with the adapter: see ``agent``.

    Attributes:
        recall_timeout: Seconds after which the adapter goes on without memory. If your adapter has such an
            option, pass this value in ``agent``: it is long, so that no test fails on a busy machine, and
            shorter in the test of a server that hangs. An adapter with a fixed timeout sets the attribute to
            that.
    """

    recall_timeout: float = 10.0

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        """Return what runs an agent with the adapter.

        One agent serves all users and sessions, at the same time too. If the framework keeps the history of
        a session, it should do so here.

        Args:
            client: The client that the adapter uses. It is closed after the test.
            model: Await it with the text of the prompt where the framework calls its model. An error that it
                raises is one of the model.
        """
        message = "return what runs an agent with your adapter: see AdapterConformance.agent"
        raise NotImplementedError(message)

    async def test_memory_reaches_the_model(self) -> None:
        """The model's prompt has what is known about the user."""
        async with self._play() as play:
            play.box.seed_profile("ana", "likes sushi")
            await play.ask("ana", "s1", "Where to eat sushi?")
            assert "likes sushi" in play.prompts[-1]
            assert "Where to eat sushi?" in play.prompts[-1]

    async def test_the_answer_is_that_of_the_model(self) -> None:
        """The adapter does not change the answer."""
        async with self._play() as play:
            answer = await play.ask("ana", "s1", "Where to eat?")
            assert answer == play.answers["Where to eat?"]

    async def test_each_turn_is_published_once_with_the_identity_of_its_run(self) -> None:
        """Three turns of two sessions are six interactions."""
        async with self._play() as play:
            asked = [("ana", "s1", "Where to eat?"), ("ana", "s1", "And tea?"), ("ana", "s2", "Which bus?")]
            for user_id, session_id, question in asked:
                await play.ask(user_id, session_id, question)
            # Only the turns of one session have an order.
            assert sorted(await play.turns(), key=lambda turn: turn[1]) == [
                turn
                for user_id, session_id, question in asked
                for turn in (
                    (user_id, session_id, "user", question),
                    (user_id, session_id, "assistant", play.answers[question]),
                )
            ]

    async def test_a_turn_that_is_repeated_word_for_word_is_published_each_time(self) -> None:
        """Equal words are said more than once, as when a user says yes."""
        async with self._play() as play:
            for _ in range(3):
                await play.ask("ana", "s1", "Where to eat?")
            answer = play.answers["Where to eat?"]
            assert [content for *_, content in await play.turns()] == ["Where to eat?", answer] * 3

    async def test_recalled_text_is_not_published(self) -> None:
        """Neither on the first turn nor on one whose history was with memory."""
        async with self._play() as play:
            play.box.seed_profile("ana", "likes sushi")
            play.box.seed_playbook("ana", "offer sushi first")
            for question in ("Where is sushi?", "And more sushi?"):
                await play.ask("ana", "s1", question)
            for *_, content in await play.turns():
                assert "likes sushi" not in content
                assert "offer sushi first" not in content
                assert "reflexio_memory" not in content
            assert play.prompts
            assert all("likes sushi" in prompt for prompt in play.prompts)

    async def test_every_injected_item_and_no_other_is_reported(self) -> None:
        """An item is in ``retrieved_learnings`` of the agent's turn exactly if it is in the prompt."""
        async with self._play() as play:
            seeded = _seed_many(play.box)
            await play.ask("ana", "s1", "Where is sushi?")
            injected = {key for key, text in seeded.items() if text in play.prompts[-1]}
            assert injected
            assert len(injected) < len(seeded)
            of_user, of_agent = await play.interactions()
            reported = [(each["kind"], each["learning_id"]) for each in of_agent["retrieved_learnings"]]
            assert sorted(reported) == sorted(injected)
            assert "retrieved_learnings" not in of_user

    async def test_what_was_found_to_be_nothing_is_reported_as_an_empty_list(self) -> None:
        """Nothing is known about the user."""
        async with self._play() as play:
            await play.ask("ana", "s1", "Where is sushi?")
            _, of_agent = await play.interactions()
            assert of_agent["retrieved_learnings"] == []

    async def test_only_approved_guidance_for_all_users_reaches_the_model(self) -> None:
        """Guidance that waits for approval, or was rejected, does not."""
        async with self._play() as play:
            play.box.seed_agent_playbook("praise sushi", approval="approved")
            play.box.seed_agent_playbook("mock sushi", approval="pending")
            play.box.seed_agent_playbook("forbid sushi", approval="rejected")
            await play.ask("ana", "s1", "Where is sushi?")
            assert "mock sushi" not in play.prompts[-1]
            assert "forbid sushi" not in play.prompts[-1]

    async def test_the_experiment_is_passed_on(self) -> None:
        """The publish names the experiment and the arm that the search has named."""
        async with self._play() as play:
            play.box.seed_profile("ana", "likes sushi")
            await play.client.start_retrieval_experiment(experiment_id="e1", holdout_percentage=99.9)
            await play.ask("ana", "s1", "Where is sushi?")
            (body,) = await play.published()
            experiment = body.get("retrieval_experiment_id"), body.get("retrieval_experiment_arm")
            assert experiment == ("e1", "holdout")
            assert "likes sushi" not in play.prompts[-1]

    async def test_a_server_that_hangs_does_not_stop_the_agent(self) -> None:
        """Recall is given up within its timeout."""
        self.recall_timeout = min(self.recall_timeout, 1.0)
        async with self._play() as play:
            play.box.faults.add(faults.freeze(), path=_SEARCH, times=None)
            answer = await play.ask_in_time("ana", "s1", "Where to eat?")
            assert answer == play.answers["Where to eat?"]
            assert len(await play.turns()) == 2

    async def test_a_server_in_error_does_not_stop_the_agent(self) -> None:
        """What the agent was given is unknown, so nothing is reported about it."""
        async with self._play() as play:
            play.box.faults.add(faults.internal_error(), path=_SEARCH, times=None)
            answer = await play.ask_in_time("ana", "s1", "Where to eat?")
            assert answer == play.answers["Where to eat?"]
            _, of_agent = await play.interactions()
            assert "retrieved_learnings" not in of_agent

    async def test_a_server_that_is_away_gets_the_turn_later(self) -> None:
        """The agent answers. The turn is published when the server is back."""
        async with self._play() as play:
            await play.box.stop()
            answer = await play.ask_in_time("ana", "s1", "Where to eat?")
            assert answer == play.answers["Where to eat?"]
            await play.box.start()
            assert len(await play.turns()) == 2

    async def test_two_users_at_once_never_mix(self) -> None:
        """The models of both wait until both have been asked."""
        users = {"ana": "sushi", "ben": "ramen"}
        async with self._play() as play:
            for user_id, food in users.items():
                play.box.seed_profile(user_id, f"likes to eat {food}")
            both = asyncio.Barrier(len(users))

            async def wait(_: str) -> None:
                async with asyncio.timeout(_A_HANG):
                    await both.wait()

            play.before_answer = wait
            for turn in range(3):
                async with asyncio.TaskGroup() as group:
                    for user_id in users:
                        question = f"What shall {user_id} eat, round {turn}?"
                        group.create_task(_run(play.ask(user_id, f"of-{user_id}", question)))
            for prompt in play.prompts:
                user_id = next(each for each in users if f"shall {each} eat" in prompt)
                other = next(each for each in users if each != user_id)
                assert f"likes to eat {users[user_id]}" in prompt
                assert users[other] not in prompt
                assert f"shall {other} eat" not in prompt
            turns = await play.turns()
            assert len(turns) == len(set(turns)) == 12
            for user_id, session_id, _, content in turns:
                assert session_id == f"of-{user_id}"
                assert any(
                    content in turn and f"shall {user_id} eat" in turn[0] for turn in play.answers.items()
                )

    async def test_cancellation_leaves_nothing(self) -> None:
        """Not a task, and nothing published: of an agent that waits for its model, or for memory."""
        async with self._play() as play:
            await play.ask("ana", "s1", "Where to eat?")
            await play.client.outbox.drained()
            before = asyncio.all_tasks()
            waiting = asyncio.Event()

            async def wait(_: str) -> None:
                waiting.set()
                await asyncio.Event().wait()

            play.before_answer = wait
            run = asyncio.ensure_future(play.ask("ana", "s2", "Never answered"))
            await _until(lambda: waiting.is_set() or run.done())
            await _cancel(run)
            play.before_answer = None
            play.box.faults.add(faults.freeze(), path=_SEARCH)
            searches = play.box.count("POST", _SEARCH)
            run = asyncio.ensure_future(play.ask("ana", "s3", "Never answered"))
            await _until(lambda: play.box.count("POST", _SEARCH) > searches or run.done())
            await _cancel(run)
            await play.box.stop()  # whose tasks are not meant
            await _until(lambda: asyncio.all_tasks() <= before)
            await play.box.start()
            await play.ask("ana", "s4", "Where is tea?")
            assert [content for *_, content in await play.turns()] == [
                each
                for question in ("Where to eat?", "Where is tea?")
                for each in (question, play.answers[question])
            ]

    async def test_an_error_of_the_model_is_that_of_the_agent(self) -> None:
        """The adapter does not swallow it, and publishes no answer. The next run is as always."""
        async with self._play() as play:

            async def fail(_: str) -> None:
                message = "the model has failed"
                raise ConnectionError(message)

            play.before_answer = fail
            error: Exception | None = None
            try:
                await play.ask("ana", "s1", "Where to eat?")
            except Exception as caught:  # noqa: BLE001  # frameworks wrap errors in their own
                error = caught
            assert error is not None
            assert await play.published() == []
            play.before_answer = None
            await play.ask("ana", "s2", "Where is tea?")
            assert len(await play.turns()) == 2

    async def test_logs_have_neither_the_key_nor_what_was_said(self) -> None:
        """Also when the server fails."""
        async with self._play() as play:
            play.box.seed_profile("ana", "likes sushi")
            logger, lines = logging.getLogger("reflexio_async"), _Lines()
            level = logger.level
            logger.addHandler(lines)
            logger.setLevel(logging.DEBUG)
            try:
                await play.ask("ana", "s1", "Where is sushi?")
                play.box.faults.add(faults.internal_error(), path=_SEARCH, times=None)
                await play.ask("ana", "s1", "And more sushi?")
                await play.client.outbox.drained()
            finally:
                logger.removeHandler(lines)
                logger.setLevel(level)
            assert lines.texts
            assert not [text for text in lines.texts if _KEY in text or "sushi" in text]

    @asynccontextmanager
    async def _play(self) -> AsyncGenerator[_Play]:
        async with (
            Sandbox() as box,
            AsyncReflexioClient(url_endpoint=box.url, api_key=_KEY) as client,
        ):
            play = _Play(box, client)
            play.limit = self.recall_timeout + _SLACK
            play.run = self.agent(client, play.model)
            yield play


class _Play:
    """A sandbox, an agent, and what its model was asked."""

    def __init__(self, box: Sandbox, client: AsyncReflexioClient) -> None:
        self.box = box
        self.client = client
        self.prompts: list[str] = []
        self.answers: dict[str, str] = {}
        """By the question."""
        self.before_answer: Callable[[str], Awaitable[None]] | None = None
        self.run: Ask
        self.limit = 0.0

    async def ask(self, user_id: str, session_id: str, question: str) -> str:
        self.answers.setdefault(question, f"This is answer {len(self.answers)}.")
        return await self.run(user_id, session_id, question)

    async def ask_in_time(self, user_id: str, session_id: str, question: str) -> str:
        """Fail if memory holds up the agent."""
        async with asyncio.timeout(self.limit):
            return await self.ask(user_id, session_id, question)

    async def model(self, prompt: str) -> str:
        self.prompts.append(prompt)
        if self.before_answer is not None:
            await self.before_answer(prompt)
        question = max(self.answers, key=prompt.rfind)  # the last one: the history may have others
        return self.answers[question]

    async def published(self) -> list[Mapping[str, Any]]:
        """The bodies of all publishes that the server has answered, once all are delivered."""
        async with asyncio.timeout(_A_HANG):
            await self.client.outbox.drained()
        return [
            record.body or {}
            for record in self.box.requests
            if record.path == _PUBLISH and record.status == 200
        ]

    async def interactions(self) -> list[dict[str, Any]]:
        return [turn for body in await self.published() for turn in body["interaction_data_list"]]

    async def turns(self) -> list[tuple[str, str, str, str]]:
        """User, session, role in lower case and content of all that was published."""
        return [
            (body["user_id"], body["session_id"], turn["role"].lower(), turn["content"])
            for body in await self.published()
            for turn in body["interaction_data_list"]
        ]


class _Lines(logging.Handler):
    """The log, as text."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(logging.Formatter().format(record))


def _seed_many(box: Sandbox) -> dict[tuple[str, str], str]:
    """Store more than fits into a prompt. Returns the texts by kind and id; some must not be found.

    Of the facts, five are found. Those that are too long for a prompt are left out, at least one of them.
    """
    facts = [f"likes sushi number {number}." * (1 if number < 4 else 400) for number in range(8)]
    profiles = box.seed_profile("ana", *facts)
    (playbook,) = box.seed_playbook("ana", "offer sushi first")
    (approved,) = box.seed_agent_playbook("praise sushi", approval="approved")
    (pending,) = box.seed_agent_playbook("mock sushi", approval="pending")
    (other,) = box.seed_profile("ben", "hates sushi")
    return {
        **{("profile", profile): fact for profile, fact in zip(profiles, facts, strict=True)},
        ("user_playbook", str(playbook)): "offer sushi first",
        ("agent_playbook", str(approved)): "praise sushi",
        ("agent_playbook", str(pending)): "mock sushi",
        ("profile", other): "hates sushi",
    }


async def _run(run: Awaitable[object]) -> None:
    await run


async def _cancel(run: asyncio.Future[Any]) -> None:
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
    assert run.cancelled()


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_A_HANG):
        while not holds():  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(0.01)
