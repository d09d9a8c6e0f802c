"""``interactions_from``, with messages as mappings and objects of the shapes that frameworks have."""

from __future__ import annotations

import json
from types import SimpleNamespace as Item
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexio_async import (
    InteractionData,
    InvalidRequest,
    Memory,
    MemoryContext,
    ProfileView,
    interactions_from,
)
from reflexio_async.memory.messages import last_run, read_turns
from reflexio_async.memory.section import without_section
from reflexio_async.reflect.prompt import augment
from reflexio_async.reflexio.models import PublishUserInteractionRequest


def plain(messages: object) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json", exclude_unset=True) for each in interactions_from(messages)]


def recalled(content: str = "likes tea") -> str:
    profile = ProfileView(
        profile_id="p",
        user_id="u",
        content=content,
        last_modified_timestamp=0,
        generated_from_request_id="r",
    )
    return str(MemoryContext([profile]))


CALL = {"id": "c1", "type": "function", "function": {"name": "maps", "arguments": '{"of": "sushi"}'}}
EXPECTED: list[dict[str, Any]] = [
    {"role": "User", "content": "Where is sushi?"},
    {
        "role": "Assistant",
        "content": "I look.\n\nAt the harbour.",
        "tools_used": [
            {
                "tool_name": "maps",
                "status": "success",
                "tool_data": {"input": {"of": "sushi"}, "output": "harbour"},
            }
        ],
    },
]
OPENAI_CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Where is sushi?"}]},
    {"role": "assistant", "content": "I look.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "harbour"},
    {"role": "assistant", "content": "At the harbour."},
]
OPENAI_RESPONSES: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "Where is sushi?"},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
    {"type": "function_call", "call_id": "c1", "name": "maps", "arguments": '{"of": "sushi"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "harbour"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "At the harbour."}]},
]
AGENT_FRAMEWORK = [
    Item(role="system", contents=[Item(type="text", text="Be brief.")]),
    Item(role="user", contents=[Item(type="text", text="Where is sushi?")]),
    Item(
        role="assistant",
        contents=[
            Item(type="text_reasoning", text="Hm."),
            Item(type="text", text="I look."),
            Item(type="function_call", name="maps", arguments={"of": "sushi"}, call_id="c1"),
        ],
    ),
    Item(role=Item(value="tool"), contents=[Item(type="function_result", result="harbour", call_id="c1")]),
    Item(role="assistant", contents=[Item(type="text", text="At the harbour.")]),
]


def part(**fields: Any) -> Item:
    return Item(**fields)


GOOGLE_ADK = [
    Item(author="user", content=Item(parts=[part(text="Where is sushi?")])),
    Item(
        author="guide",
        content=Item(
            parts=[
                part(text="Hm.", thought=True),
                part(text="I look."),
                part(function_call=Item(id="c1", name="maps", args={"of": "sushi"})),
            ]
        ),
    ),
    Item(
        author="guide",
        content=Item(parts=[part(function_response=Item(id="c1", name="maps", response="harbour"))]),
    ),
    Item(author="guide", partial=True, content=Item(parts=[part(text="At")])),
    Item(author="guide", content=None),
    Item(author="guide", content=Item(parts=[part(text="At the harbour.")])),
]


@pytest.mark.parametrize(
    "messages",
    [
        OPENAI_CHAT,
        OPENAI_RESPONSES,
        AGENT_FRAMEWORK,
        Item(messages=AGENT_FRAMEWORK),
        {"messages": OPENAI_CHAT},
    ],
    ids=["chat", "responses", "agent-framework", "response-of-agent-framework", "state"],
)
def test_user_and_agent_have_a_turn_each_with_the_tools_used(messages: object) -> None:
    assert plain(messages) == EXPECTED


@pytest.mark.parametrize("messages", [GOOGLE_ADK, Item(events=GOOGLE_ADK)], ids=["events", "session"])
def test_events_of_google_adk(messages: object) -> None:
    turns = plain(messages)
    turns[1]["tools_used"][0]["tool_data"]["output"] = "harbour"  # it was JSON
    assert turns == EXPECTED


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


LOOK, ANSWER, RETURNED, CALLED, THOUGHT = (
    said("I look."),
    OPENAI_RESPONSES[-1],
    OPENAI_RESPONSES[-2],
    OPENAI_RESPONSES[-3],
    OPENAI_RESPONSES[2],
)


@pytest.mark.parametrize(
    "items",
    [
        [LOOK, CALLED, RETURNED, ANSWER],
        [CALLED, LOOK, RETURNED, ANSWER],
        [LOOK, THOUGHT, CALLED, RETURNED, ANSWER],
        [THOUGHT, CALLED, LOOK, THOUGHT, RETURNED, THOUGHT, ANSWER],
    ],
    ids=["text-call", "call-text", "text-reasoning-call", "call-text-reasoning"],
)
def test_items_of_one_turn_are_one_turn_in_every_order(items: list[dict[str, Any]]) -> None:
    assert plain([OPENAI_RESPONSES[1], *items]) == EXPECTED


ASKS, TALKS, RETURNS = (
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "assistant", "content": "I look."},
    OPENAI_CHAT[3],
)


@pytest.mark.parametrize(
    "messages",
    [[ASKS, TALKS, RETURNS], [TALKS, ASKS, RETURNS], [ASKS, RETURNS]],
    ids=["call-text", "text-call", "call"],
)
def test_chat_messages_of_one_turn_are_one_turn_in_every_order(messages: list[dict[str, Any]]) -> None:
    said_first = "I look.\n\n" if TALKS in messages else ""
    turns = plain([OPENAI_CHAT[1], *messages, OPENAI_CHAT[4]])
    assert turns == [EXPECTED[0], dict(EXPECTED[1], content=f"{said_first}At the harbour.")]


WEB_SEARCH = {"type": "web_search_call", "id": "w1", "status": "completed", "action": {"query": "sushi"}}


@pytest.mark.parametrize("items", [[WEB_SEARCH, ANSWER], [LOOK, WEB_SEARCH, ANSWER]], ids=["", "after text"])
def test_a_search_at_the_provider_is_part_of_a_finished_turn(items: list[dict[str, Any]]) -> None:
    asked, answered = read_turns([OPENAI_RESPONSES[1], *items])
    assert not answered.goes_on
    assert answered.content.endswith("At the harbour.")
    assert [tool.tool_name for tool in answered.tools] == ["web_search"]
    assert asked.content == "Where is sushi?"


def test_a_tool_of_a_provider_in_a_message_of_langchain_is_part_of_a_finished_turn() -> None:
    content = [
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "sushi"}},
        {"type": "text", "text": "At the harbour."},
    ]
    (answered,) = read_turns([{"role": "assistant", "content": content}])
    assert (answered.goes_on, answered.content) == (False, "At the harbour.")


def test_an_own_tool_that_has_not_returned_leaves_the_turn_open() -> None:
    for items in ([CALLED], [CALLED, LOOK], [LOOK, CALLED], [LOOK, CALLED, RETURNED]):
        assert read_turns(items)[-1].goes_on


def test_the_last_run_begins_with_what_the_user_asked_for_last() -> None:
    task, messages = last_run(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": f"{recalled()}Where is"},
            {"role": "user", "content": "sushi?"},
            ASKS,
            {**RETURNS, "content": recalled()},
            {"role": "assistant", "content": "At the harbour."},
        ]
    )
    assert task == "Where is\nsushi?"
    assert [(message["role"], message["content"]) for message in messages] == [
        ("user", "Where is"),
        ("user", "sushi?"),
        ("assistant", ""),
        ("tool", ""),
        ("assistant", "At the harbour."),
    ]


def test_a_turn_of_the_user_is_one_message() -> None:
    assert [turn["content"] for turn in plain([{"role": "user", "content": text} for text in "ab"])] == [
        "a",
        "b",
    ]


def test_no_messages_are_no_turns() -> None:
    assert plain([]) == []


@pytest.mark.parametrize("messages", [None, "text", 5, {"no": "messages"}, [5], [None], [{"x": 1}]], ids=str)
def test_what_is_no_message_is_an_error(messages: object) -> None:
    with pytest.raises(InvalidRequest):
        interactions_from(messages)


def test_interactions_stay_what_they_are() -> None:
    given = [
        InteractionData(
            role="User", content=f"{recalled()}Hi", user_action="click", user_action_description="b"
        ),
        InteractionData(role="Agent", content="Hello"),
    ]
    assert plain(given) == [
        {"role": "User", "content": "Hi", "user_action": "click", "user_action_description": "b"},
        {"role": "Agent", "content": "Hello"},
    ]
    assert "reflexio_memory" in given[0].content


@pytest.mark.parametrize("before", ["", "Hello. ", "Hello.\n\n"])
@pytest.mark.parametrize("after", ["", "Bye.", "\nBye."])
def test_recalled_memory_is_left_out_wherever_it_is(before: str, after: str) -> None:
    words = f"{before}{recalled()}{after}"
    turns = plain([{"role": "user", "content": words}, {"role": "assistant", "content": "Yes"}])
    left = [text.strip() for text in (before, after) if text.strip()]
    assert [turn["content"] for turn in turns] == [*(["\n\n".join(left)] if left else []), "Yes"]


@given(st.text(), st.text(max_size=30).filter(lambda text: "<" not in text))
def test_no_memory_can_stay_behind(content: str, question: str) -> None:
    words = f"{recalled('x' + content)}{question}"
    turns = plain([{"role": "user", "content": words}])
    assert [turn["content"] for turn in turns] == ([question.strip()] if question.strip() else [])


def test_recalled_memory_whose_end_was_cut_off_is_left_out() -> None:
    assert plain([{"role": "user", "content": f"Hi\n{recalled()[:-40]}"}]) == [
        {"role": "User", "content": "Hi"}
    ]


def test_memories_below_a_task_are_left_out() -> None:
    task = augment("Find sushi", [Memory(id="m", task="t", reflection="r")])
    assert plain([{"role": "user", "content": task}]) == [{"role": "User", "content": "Find sushi"}]


def test_recalled_memory_that_a_tool_returned_is_left_out() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": recalled()},
        {"role": "assistant", "content": "Tea?"},
    ]
    assert "likes tea" not in str(plain(messages))


@pytest.mark.parametrize("tag", ["reflexio_memory", "<relevant_memories>", "<reflexio_memory>"])
def test_a_user_may_write_about_the_section(tag: str) -> None:
    words = f"What does {tag} mean? And when?"
    assert plain([{"role": "user", "content": words}]) == [{"role": "User", "content": words}]


def test_recalled_memory_in_a_text_that_is_json_is_left_out() -> None:
    assert without_section(f"Before {json.dumps(recalled())[1:-1]} after") == "Before\n\nafter"


def test_a_long_text_takes_no_quadratic_time() -> None:
    words = f"{' ' * 1_000_000}x<reflexio_memory>"  # of quadratic time, it would take an hour
    assert without_section(words) == words


def test_an_answer_that_is_a_tool_call_is_text_too() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]
    assert plain(messages)[1]["content"] == '{"of": "sushi"}'


def test_a_message_of_the_agent_without_anything_is_no_turn() -> None:
    assert plain([{"role": "assistant", "content": ""}, {"role": "assistant", "content": None}]) == []


def test_a_tool_that_failed_says_so() -> None:
    messages = [
        Item(role="assistant", contents=[Item(type="function_call", name="f", arguments="{", call_id=1)]),
        Item(role="tool", contents=[Item(type="function_result", result=None, exception="no", call_id=1)]),
    ]
    (turn,) = plain(messages)
    assert turn["tools_used"] == [
        {"tool_name": "f", "status": "error", "tool_data": {"input": "{", "output": ""}}
    ]


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ('{"a": NaN, "b": -Infinity}', {"a": "nan", "b": "-inf"}),
        ('"\\ud800"', "?"),
        ("[" * 100_000, "[" * 100_000),
        ("no JSON", "no JSON"),
        ("", {}),
    ],
    ids=["not finite", "surrogate", "deep", "text", "none"],
)
def test_any_arguments_of_a_tool_can_be_published(arguments: str, kept: object) -> None:
    call = {"id": "c1", "function": {"name": "f", "arguments": arguments}}
    (turn,) = plain([{"role": "assistant", "content": "x", "tool_calls": [call]}])
    assert turn["tools_used"][0]["tool_data"] == {"input": kept}


def test_what_is_too_long_for_a_server_is_cut() -> None:
    messages = [
        {"role": "user", "content": "x" * 1_000_001},
        {"role": "assistant", "content": "y", "tool_calls": [{**CALL, "id": str(n)} for n in range(1001)]},
        {"role": "tool", "tool_call_id": "0", "content": "z" * 100_000},
    ]
    asked, answered = plain(messages)
    assert len(asked["content"]) == 1_000_000
    assert len(answered["tools_used"]) == 1000
    assert len(answered["tools_used"][0]["tool_data"]["output"]) == 4000


TEXT = st.text(max_size=20)


@st.composite
def message(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {
        "role": draw(st.sampled_from(["user", "system", "assistant", "tool"])),
        "content": draw(TEXT),
    }
    if made["role"] == "assistant":
        made["tool_calls"] = [
            {"id": draw(TEXT), "function": {"name": draw(TEXT), "arguments": draw(TEXT)}}
            for _ in range(draw(st.integers(0, 2)))
        ]
    if made["role"] == "tool":
        made["tool_call_id"] = draw(TEXT)
    return made


@given(st.lists(message(), max_size=8))
def test_any_messages_can_be_published(messages: list[Any]) -> None:
    interactions = interactions_from(messages)
    if interactions:
        PublishUserInteractionRequest(user_id="u", session_id="s", interactions=interactions).model_dump_json(
            exclude_unset=True
        )
