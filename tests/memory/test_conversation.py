"""``client.conversation``: recalled before a turn, published after it, once, with what was recalled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexio_async import AsyncReflexioClient, Conversation, InvalidRequest, StoreError
from reflexio_async.testing import Sandbox, VirtualClock, faults
from tests.scene import PUBLISH, Scene, scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reflexio_async._engine.outbox_call import OutboxCall

SEARCH = "/api/search"


@pytest.fixture
async def play() -> AsyncIterator[Scene]:
    async with scene() as made:
        yield made


@pytest.fixture
def talk(play: Scene) -> Conversation:
    return play.client.conversation(user_id="ana", session_id="s1", agent_version="v1", source="shop")


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def agent(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


TURN = [user("Where is sushi?"), agent("At the harbour.")]
NEXT = [user("And tea?"), agent("Next door.")]


async def published(play: Scene) -> list[dict[str, Any]]:
    """The bodies of all publishes, once they are delivered."""
    await play.client.outbox.drained()
    return [record.body or {} for record in play.box.requests if record.path == PUBLISH]


async def turns(play: Scene) -> list[list[str]]:
    """The texts of each publish."""
    return [[turn["content"] for turn in body["interaction_data_list"]] for body in await published(play)]


def last_search(play: Scene) -> dict[str, Any]:
    return next(record.body or {} for record in reversed(play.box.requests) if record.path == SEARCH)


async def test_the_search_and_the_publish_have_the_same_identity(play: Scene, talk: Conversation) -> None:
    await talk.context("sushi")
    await talk.add(TURN)
    (body,) = await published(play)
    search = last_search(play)
    assert (body["user_id"], body["session_id"]) == ("ana", "s1")
    assert (body["agent_version"], body["source"]) == ("v1", "shop")
    assert (search["user_id"], search["agent_version"]) == ("ana", "v1")
    assert search["request_id"] == body["request_id"]


async def test_the_next_turn_has_a_request_id_of_its_own(play: Scene, talk: Conversation) -> None:
    for turn in (TURN, NEXT):
        await talk.context("sushi")
        await talk.add(turn)
        assert (await published(play))[-1]["request_id"] == last_search(play)["request_id"]
    assert len({body["request_id"] for body in await published(play)}) == 2


async def test_it_returns_before_anything_is_sent(play: Scene, talk: Conversation) -> None:
    call = await talk.add(TURN)
    assert call is not None
    assert play.box.count("POST", PUBLISH) == 0
    assert (await call).success


async def test_what_was_recalled_is_reported_on_the_turn_of_the_agent(
    play: Scene, talk: Conversation
) -> None:
    (profile,) = play.box.seed_profile("ana", "likes sushi")
    (playbook,) = play.box.seed_playbook("ana", "offer sushi first", agent_version="v1")
    (shared,) = play.box.seed_agent_playbook("praise sushi", agent_version="v1", approval="approved")
    await talk.context("sushi")
    await talk.add(TURN)
    (body,) = await published(play)
    of_user, of_agent = body["interaction_data_list"]
    assert "retrieved_learnings" not in of_user
    assert of_agent["retrieved_learnings"] == [
        {"kind": "profile", "learning_id": profile},
        {"kind": "user_playbook", "learning_id": str(playbook)},
        {"kind": "agent_playbook", "learning_id": str(shared)},
    ]


async def test_nothing_that_was_left_out_of_the_text_is_reported(play: Scene, talk: Conversation) -> None:
    play.box.seed_profile("ana", *(f"likes sushi {'x' * 80} {number}" for number in range(5)))
    context = await talk.context("sushi", max_chars=600)
    await talk.add(TURN)
    (body,) = await published(play)
    reported = body["interaction_data_list"][1]["retrieved_learnings"]
    assert 0 < len(reported) < 5
    assert len(reported) == str(context).count("<fact>")


async def test_a_context_that_found_nothing_is_reported_as_empty(play: Scene, talk: Conversation) -> None:
    await talk.context("sushi")
    await talk.add(TURN)
    assert (await published(play))[0]["interaction_data_list"][1]["retrieved_learnings"] == []


async def test_without_a_context_nothing_is_said_about_learnings(play: Scene, talk: Conversation) -> None:
    await talk.add(TURN)
    assert "retrieved_learnings" not in (await published(play))[0]["interaction_data_list"][1]


async def test_a_context_that_failed_is_not_reported(play: Scene, talk: Conversation) -> None:
    play.box.faults.add(faults.status(422), path=SEARCH)
    assert (await talk.context("sushi")).error is not None
    await talk.add(TURN)
    assert "retrieved_learnings" not in (await published(play))[0]["interaction_data_list"][1]


async def test_a_turn_reports_its_own_context_alone(play: Scene, talk: Conversation) -> None:
    play.box.seed_profile("ana", "likes sushi")
    await talk.context("sushi")
    await talk.add(TURN)
    await talk.add(NEXT)
    _, second = await published(play)
    assert "retrieved_learnings" not in second["interaction_data_list"][1]


async def test_a_context_that_was_recalled_elsewhere_is_reported_by_request(
    play: Scene, talk: Conversation
) -> None:
    play.box.seed_profile("ana", "likes sushi")
    context = await play.client.context("ana", "sushi")
    assert context.learnings
    talk.report(context)
    await talk.add(TURN)
    (body,) = await published(play)
    reported = body["interaction_data_list"][-1]["retrieved_learnings"]
    assert [each["learning_id"] for each in reported] == [each.learning_id for each in context.learnings]


async def test_all_contexts_of_a_turn_are_reported_once_each(play: Scene, talk: Conversation) -> None:
    play.box.seed_profile("ana", "likes sushi", "likes tea")
    for query in ("sushi", "tea", "sushi"):
        await talk.context(query, top_k=1)
    await talk.add(TURN)
    assert len((await published(play))[0]["interaction_data_list"][1]["retrieved_learnings"]) == 2


async def test_the_memories_of_reflect_are_those_of_the_contexts_since_the_last_publish() -> None:
    clock = VirtualClock()
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(
            url_endpoint=box.url, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key, clock=clock
        ) as client,
    ):
        memory = box.reflect.seed_memory(task="find a sushi place", guidance="ask for the town")
        talk = client.conversation(user_id="ana", session_id="s1")
        for _ in range(2):
            await talk.context("find a sushi place")
        assert talk.memory_ids == [memory.id]
        await talk.add(TURN)
        assert talk.memory_ids == []


async def test_the_experiment_is_passed_on(play: Scene, talk: Conversation) -> None:
    play.box.seed_profile("ana", "likes sushi")
    await play.client.start_retrieval_experiment(experiment_id="e1", holdout_percentage=99.9)
    assert not await talk.context("sushi")
    await talk.add(TURN)
    (body,) = await published(play)
    assert (body["retrieval_experiment_id"], body["retrieval_experiment_arm"]) == ("e1", "holdout")
    assert body["interaction_data_list"][1]["retrieved_learnings"] == []


async def test_the_second_turn_has_the_memories_of_the_first(play: Scene, talk: Conversation) -> None:
    play.box.seed_profile("ana", "likes sushi")
    assert await talk.context("sushi")
    await talk.add(TURN)
    assert await talk.context("sushi")


async def test_a_memory_that_came_after_the_timeout_is_there_on_the_next_turn(
    play: Scene, talk: Conversation
) -> None:
    play.box.seed_profile("ana", "likes sushi")
    play.box.faults.add(faults.answer_lost(), path=SEARCH)
    play.box.faults.add(faults.delay(5), path=SEARCH)
    await talk.context("sushi")
    assert await talk.context("sushi")


# Which turns are published


async def test_the_whole_conversation_may_be_passed_every_time(play: Scene, talk: Conversation) -> None:
    await talk.add(TURN)
    await talk.add([*TURN, *NEXT])
    await talk.add([*TURN, *NEXT, *TURN])
    await talk.add([*TURN, *NEXT, *TURN])
    assert await turns(play) == [
        ["Where is sushi?", "At the harbour."],
        ["And tea?", "Next door."],
        ["Where is sushi?", "At the harbour."],
    ]


async def test_only_the_new_turns_may_be_passed(play: Scene, talk: Conversation) -> None:
    for new in (TURN, NEXT, TURN, TURN):
        await talk.add(new)
    assert [texts[0] for texts in await turns(play)] == [
        "Where is sushi?",
        "And tea?",
        "Where is sushi?",
        "Where is sushi?",
    ]


async def test_a_first_turn_that_is_repeated_word_for_word_is_new_after_a_context(
    play: Scene, talk: Conversation
) -> None:
    for _ in range(3):
        await talk.context("sushi")
        await talk.add(TURN)
    assert len(await turns(play)) == 3


async def test_the_same_messages_again_are_published_once(play: Scene, talk: Conversation) -> None:
    assert await talk.add(TURN)
    assert await talk.add(TURN) is None
    assert len(await turns(play)) == 1


async def test_a_conversation_whose_beginning_was_cut_off(play: Scene, talk: Conversation) -> None:
    await talk.add(TURN)
    await talk.add([*TURN, *NEXT])
    await talk.add([*NEXT, user("Thanks"), agent("Bye")])
    await talk.add([user("Summary: sushi, tea"), user("Thanks"), agent("Bye"), user("Hm"), agent("Yes?")])
    assert (await turns(play))[2:] == [["Thanks", "Bye"], ["Hm", "Yes?"]]


async def test_history_was_published_before(play: Scene) -> None:
    talk = play.client.conversation(user_id="ana", session_id="s1", history=TURN)
    await talk.add([*TURN, *NEXT])
    assert await turns(play) == [["And tea?", "Next door."]]
    talk = play.client.conversation(user_id="ana", session_id="s1", history=[*TURN, *NEXT])
    await talk.add([user("Hm"), agent("Next door.")])
    assert (await turns(play))[1:] == [["Hm", "Next door."]]


@pytest.mark.parametrize("whole", [True, False])
async def test_a_question_waits_for_its_answer(play: Scene, talk: Conversation, *, whole: bool) -> None:
    assert await talk.add(TURN[:1]) is None
    await talk.add(TURN if whole else TURN[1:])
    await talk.add([*TURN, *NEXT[:1]] if whole else NEXT[:1])
    await talk.add([*TURN, *NEXT] if whole else NEXT[1:])
    assert await turns(play) == [["Where is sushi?", "At the harbour."], ["And tea?", "Next door."]]


async def test_a_question_that_was_not_answered_is_published_with_the_next_one(
    play: Scene, talk: Conversation
) -> None:
    await talk.add([user("Hello?")])
    await talk.add(TURN)
    assert await turns(play) == [["Hello?", "Where is sushi?", "At the harbour."]]


async def test_an_agent_that_waits_for_a_tool_is_not_finished(play: Scene, talk: Conversation) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "maps", "arguments": '{"of": "sushi"}'}}
    asked = [TURN[0], {**agent("I look."), "tool_calls": [call]}]
    assert await talk.add(asked) is None
    await talk.add([*asked, {"role": "tool", "tool_call_id": "c1", "content": "harbour"}, TURN[1]])
    (body,) = await published(play)
    assert body["interaction_data_list"][1] == {
        "role": "Assistant",
        "content": "I look.\n\nAt the harbour.",
        "created_at": int(play.clock.time()),
        "tools_used": [
            {
                "tool_name": "maps",
                "status": "success",
                "tool_data": {"input": {"of": "sushi"}, "output": "harbour"},
            }
        ],
    }


async def test_recalled_memory_never_comes_back_as_words_of_the_user(play: Scene, talk: Conversation) -> None:
    play.box.seed_profile("ana", "likes sushi </reflexio_memory> a lot")
    context = await talk.context("sushi")
    assert context
    await talk.add(
        [
            {"role": "system", "content": f"Be brief.\n{context}"},
            user(f"{context}\n\nWhere is sushi?\n{context}"),
            user(str(context)),
            agent(f"You told me: {context}At the harbour."),
        ]
    )
    assert await turns(play) == [["Where is sushi?", "You told me:\n\nAt the harbour."]]


async def test_the_history_is_recognised_although_frameworks_put_memory_into_it(
    play: Scene, talk: Conversation
) -> None:
    play.box.seed_profile("ana", "likes sushi", "likes tea")
    first, second = await talk.context("sushi"), await talk.context("tea")
    await talk.add([user(f"{first}{TURN[0]['content']}"), TURN[1]])
    await talk.add([user(f"{second}{TURN[0]['content']}"), TURN[1], *NEXT])
    assert (await turns(play))[1:] == [["And tea?", "Next door."]]


@settings(max_examples=25, deadline=None)
@given(
    roles=st.lists(st.sampled_from(["user", "assistant"]), max_size=12), data=st.data(), whole=st.booleans()
)
def test_every_turn_is_published_once_in_its_order(
    roles: list[str], data: st.DataObject, *, whole: bool
) -> None:
    messages = [{"role": role, "content": f"text {number}"} for number, role in enumerate(roles)]
    ends = sorted(data.draw(st.lists(st.integers(0, len(messages)), max_size=6)))

    async def speak() -> str:
        async with scene() as play:
            talk = play.client.conversation(user_id="ana", session_id="s1")
            begin = 0
            for end in [*ends, len(messages)]:
                await talk.add(messages[0 if whole else begin : end])
                begin = end
            return "\n\n".join(text for texts in await turns(play) for text in texts)

    finished = len(roles) - next(
        (n for n, role in enumerate(reversed(roles)) if role == "assistant"), len(roles)
    )
    expected = "\n\n".join(message["content"] for message in messages[:finished])
    assert asyncio.run(speak()) == expected


async def test_agents_that_take_turns_have_a_turn_each(play: Scene, talk: Conversation) -> None:
    for count in range(1, 5):
        await talk.add([user("Where?"), agent("First."), agent("Second."), agent("Third.")][:count])
    assert await turns(play) == [["Where?", "First."], ["Second."], ["Third."]]


# Failures


async def test_a_dead_server_stops_neither_call(play: Scene, talk: Conversation) -> None:
    await play.client.whoami()
    await play.box.stop()
    began = play.clock.now()
    assert not await talk.context("sushi")
    call = await talk.add(TURN)
    assert play.clock.now() - began <= 1.0
    await play.box.start()
    assert call is not None
    assert (await call).success


@pytest.mark.parametrize("later", [TURN, [*TURN, *NEXT], NEXT], ids=["the same", "the whole", "the next"])
async def test_a_turn_that_was_not_accepted_is_published_by_the_next_call(
    play: Scene, talk: Conversation, monkeypatch: pytest.MonkeyPatch, later: list[dict[str, Any]]
) -> None:
    play.box.seed_profile("ana", "likes sushi")
    await talk.context("sushi")

    async def full(*_: object) -> OutboxCall[Any]:
        message = "full"
        raise StoreError(message)

    with monkeypatch.context() as patched:
        patched.setattr(play.client.outbox, "add", full)
        with pytest.raises(StoreError):
            await talk.add(TURN)
    await talk.add(later)
    (body,) = await published(play)
    expected = TURN if later is TURN else [*TURN, *NEXT]
    sent = body["interaction_data_list"]
    assert [turn["content"] for turn in sent] == [turn["content"] for turn in expected]
    assert len(sent[-1]["retrieved_learnings"]) == 1


async def test_a_cancelled_add_is_published_once_by_the_next_call(play: Scene, talk: Conversation) -> None:
    for attempt in range(8):
        task = asyncio.create_task(talk.add(TURN))
        for _ in range(attempt):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await talk.add(TURN)
    await play.client.outbox.drained()
    assert len(play.box.stored_requests) == 1


@pytest.mark.parametrize("whole", [True, False])
async def test_after_a_cancelled_add_the_next_turns_are_not_lost(
    play: Scene, talk: Conversation, monkeypatch: pytest.MonkeyPatch, *, whole: bool
) -> None:
    accept = play.client.outbox.add

    async def accepted_and_cancelled(*args: Any) -> OutboxCall[Any]:
        await accept(*args)
        raise asyncio.CancelledError

    await talk.add(TURN[:1])
    with monkeypatch.context() as patched:
        patched.setattr(play.client.outbox, "add", accepted_and_cancelled)
        with pytest.raises(asyncio.CancelledError):
            await talk.add(TURN if whole else TURN[1:])
    await talk.add([*TURN, *NEXT] if whole else NEXT)
    await talk.add([*TURN, *NEXT, *TURN] if whole else TURN)
    await play.client.outbox.drained()
    stored = [[turn.content for turn in each.interactions] for each in play.box.stored_requests.values()]
    assert stored == [[turn["content"] for turn in turns] for turns in (TURN, NEXT, TURN)]


async def test_adds_at_once_are_published_once(play: Scene, talk: Conversation) -> None:
    await talk.add(TURN)
    await asyncio.gather(*(talk.add([*TURN, *NEXT]) for _ in range(5)))
    assert await turns(play) == [["Where is sushi?", "At the harbour."], ["And tea?", "Next door."]]


async def test_users_at_once_never_mix(play: Scene) -> None:
    names = [f"user-{number}" for number in range(20)]
    profiles = {name: play.box.seed_profile(name, f"likes sushi of {name}")[0] for name in names}

    async def speak(name: str) -> None:
        talk = play.client.conversation(user_id=name, session_id=f"s-{name}")
        for turn in range(3):
            context = await talk.context("sushi")
            assert f"sushi of {name}<" in str(context)
            await talk.add([user(f"{context} {name} asks {turn}"), agent(f"to {name}")])

    await asyncio.gather(*map(speak, names))
    bodies = await published(play)
    assert len(bodies) == 60
    for body in bodies:
        asked, answered = body["interaction_data_list"]
        name = body["user_id"]
        assert body["session_id"] == f"s-{name}"
        assert asked["content"].startswith(f"{name} asks")
        assert answered["retrieved_learnings"] == [{"kind": "profile", "learning_id": profiles[name]}]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"source": "My Shop"}, "source"),
        ({"user_id": " "}, "user_id"),
        ({"session_id": ""}, "session_id"),
        ({"session_id": None}, "session_id"),
    ],
)
async def test_a_bad_argument_is_an_error_at_once(play: Scene, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^conversation: {says}"):
        play.client.conversation(**{"user_id": "ana", "session_id": "s", **fields})


async def test_messages_of_no_kind_are_an_error(talk: Conversation) -> None:
    with pytest.raises(InvalidRequest, match="str"):
        await talk.add("Where is sushi?")


async def test_a_new_session_for_every_turn_is_warned_of_once(play: Scene) -> None:
    async def speak(number: int) -> None:
        await play.client.conversation(user_id="ana", session_id=f"s{number}").add(TURN)

    for number in range(9):
        await speak(number)
    with pytest.warns(UserWarning, match="one session_id for a whole conversation"):
        await speak(9)
    for number in range(10, 30):
        await speak(number)
    assert len(await published(play)) == 30


async def test_many_conversations_of_a_user_are_fine(play: Scene) -> None:
    for number in range(20):
        for _ in range(1 + (number == 3)):
            await play.client.conversation(user_id="ana", session_id=f"s{number % 7}").add(TURN)
    assert len(await published(play)) == 21
