"""What the official client takes is taken: unknown keys of a turn, explicit None, models of its own."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import create_model

from reflexio_async import (
    APIStatusError,
    AsyncReflexioClient,
    InteractionData,
    InvalidRequest,
    JobFailed,
    RequestRefused,
    ToolUsed,
    UnprocessableRequest,
)
from tests.calls import calls, to_the_end
from tests.parity.official_data import OFFICIAL

if TYPE_CHECKING:
    from reflexio_async.sandbox import Sandbox

Loose = Any
METHODS = OFFICIAL["reflexio-ai"].described["ReflexioClient"]
SESSION: dict[str, Any] = {"user_id": "u", "session_id": "s"}


def published(box: Sandbox) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = box.requests[-1].body["interaction_data_list"]
    return turns


# --- unknown keys of an interaction


async def test_an_unknown_key_of_a_turn_is_dropped_and_reported(box: Sandbox, client: Loose) -> None:
    turns = [{"content": "x"}, {"content": "y", "user_acton": "click", "extra": 1}]
    receipt = await client.publish_interaction(**SESSION, interactions=turns)
    assert published(box) == [{"content": "x"}, {"content": "y"}]
    assert receipt.warnings == [
        "interactions[1]: ignored the unknown field 'user_acton'; did you mean user_action?",
        "interactions[1]: ignored the unknown field 'extra'",
    ]


async def test_an_unknown_key_of_a_part_of_a_turn_is_named_by_its_place(box: Sandbox, client: Loose) -> None:
    tools = [{"tool_name": "a"}, {"tool_name": "b", "tool_input": {"x": 1}}]
    receipt = await client.publish_interaction(
        **SESSION, interactions=[{"role": "Agent", "content": "x", "tools_used": tools}]
    )
    [turn] = published(box)
    assert turn == {"role": "Agent", "content": "x", "tools_used": [{"tool_name": "a"}, {"tool_name": "b"}]}
    assert receipt.warnings == [
        "interactions[0].tools_used[1]: ignored the unknown field 'tool_input'; did you mean tool_data?"
    ]


async def test_the_servers_warnings_stay_before_the_clients(client: Loose) -> None:
    turns = [{"content": ""}, {"content": "y", "extra": 1}]
    receipt = await client.publish_interaction(**SESSION, interactions=turns)
    assert len(receipt.warnings) == 2
    assert receipt.warnings[-1] == "interactions[1]: ignored the unknown field 'extra'"


async def test_the_callers_models_keep_their_unknown_fields(box: Sandbox, client: Loose) -> None:
    tool: Any = ToolUsed.model_validate({"tool_name": "t", "extra": 1})
    turn = InteractionData(content="x", tools_used=[tool])
    for _ in range(2):
        receipt = await client.publish_interaction(**SESSION, interactions=[turn])
        assert receipt.warnings == ["interactions[0].tools_used[0]: ignored the unknown field 'extra'"]
        assert published(box)[0]["tools_used"] == [{"tool_name": "t"}]
    assert tool.extra == 1


async def test_a_refused_publish_notes_what_was_dropped(client: Loose) -> None:
    with pytest.raises(UnprocessableRequest) as caught:
        await client.publish_interaction(**SESSION, interactions=[{"contents": "x"}])
    assert caught.value.__notes__ == [
        "interactions[0]: ignored the unknown field 'contents'; did you mean content?"
    ]


async def test_a_batch_reports_dropped_keys_per_publish(client: Loose) -> None:
    report = await client.publish_many([{**SESSION, "interactions": [{"content": "x", "extra": 1}]}])
    [outcome] = report.outcomes
    assert outcome.result.warnings == ["interactions[0]: ignored the unknown field 'extra'"]


async def test_a_misspelt_field_of_the_publish_itself_is_still_refused(client: Loose) -> None:
    with pytest.raises(TypeError, match="sesion_id"):
        await client.publish_interaction(user_id="u", sesion_id="s", interactions=[{"content": "x"}])


# --- other forms of the same


async def test_turns_may_come_from_a_generator(box: Sandbox, client: Loose) -> None:
    await client.publish_interaction(**SESSION, interactions=({"content": text} for text in "ab"))
    assert published(box) == [{"content": "a"}, {"content": "b"}]


async def test_turns_may_be_the_official_clients_models(box: Sandbox, client: Loose) -> None:
    theirs = create_model("InteractionData", role=(str, "User"), content=(str, ""))
    await client.publish_interaction(**SESSION, interactions=[theirs(content="x")])
    assert published(box) == [{"content": "x"}]


async def test_a_model_of_ours_that_is_no_turn_is_refused(client: Loose) -> None:
    with pytest.raises(InvalidRequest, match=r"interactions\.0"):
        await client.publish_interaction(**SESSION, interactions=[ToolUsed(tool_name="t")])


# --- explicit None

CALLS = {name: call for name, call in calls(AsyncReflexioClient).items() if call.takes_request}
GIVEN: dict[str, Any] = {
    "user_id": "u",
    "query": "q",
    "profile_ids": ["p"],
    "session_id": "s",
    "agent_version": "v",
    "evaluation_name": "e",
    "from_ts": 1,
    "to_ts": 2,
    "start_time": "2026-01-01T00:00:00Z",
    "end_time": "2026-01-02T00:00:00Z",
    "outcome": "success",
    "occurred_at": 1,
    "user_playbook_ids": [1],
}
"""Values for the fields that a request must have."""


async def sent(box: Sandbox, client: Loose, name: str, fields: dict[str, Any]) -> Any:
    """The query and the body that the call sends."""
    before = len(box.requests)
    with suppress(APIStatusError, RequestRefused, JobFailed):
        await to_the_end(getattr(client, name)(**fields))
    path = CALLS[name].endpoint.path
    found = next(record for record in box.requests[before:] if record.path == path)
    body = dict(found.body)
    body.pop("request_id", None)  # made by the client
    return found.query, body


@pytest.mark.filterwarnings("ignore:search_profiles is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in CALLS if name in METHODS])
async def test_none_means_left_out_wherever_it_is_the_official_default(
    box: Sandbox, client: Loose, name: str
) -> None:
    needed = {field for field, info in CALLS[name].request.model_fields.items() if info.is_required()}
    fields = {field: GIVEN[field] for field in needed}
    nones = {
        parameter: None
        for parameter, official in METHODS[name].items()
        if official.get("default") == "None" and parameter not in needed
    }
    assert await sent(box, client, name, fields | nones) == await sent(box, client, name, fields)
