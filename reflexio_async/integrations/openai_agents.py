"""Memory in an agent of the OpenAI Agents SDK. Needs the extra ``openai-agents``.

    memory = ReflexioHooks(client, user_id="ana", session_id="chat-1")
    await Runner.run(agent, "Where to eat?", hooks=memory, run_config=memory.run_config())

It works with ``Runner.run_streamed`` too, and with every kind of session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import RunConfig, RunHooks
from agents.run import ModelInputData

from reflexio_async.integrations.agent_memory import AgentMemory, begin_of_turn
from reflexio_async.memory.messages import interactions_from
from reflexio_async.reflect.converters.attribute_reader import get

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from agents.run import CallModelData

    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.integrations.agent_memory import MemoryOptions
    from reflexio_async.memory.context import MemoryContext


class ReflexioHooks(RunHooks[Any]):
    """Puts memory into the instructions of a run, and publishes the turn at its end.

    Make one for each run: it names the user and the session, and the SDK does not tell an input filter which
    run it is in. A run that was interrupted goes on with the same one or with a new one. Memory is recalled
    once for a run. A run that fails is not published.

    Args:
        client: The client. It must be open while the agent runs.
        options: See ``MemoryOptions``. ``user_id`` and ``session_id`` are needed.
    """

    def __init__(self, client: AsyncReflexioClient, **options: Unpack[MemoryOptions]) -> None:
        self._memory = AgentMemory(client, **options)
        self._talk = self._memory.conversation()
        self._context: MemoryContext | None = None
        self._items: list[Any] = []
        self._usage: object = None

    def run_config(self, **fields: Any) -> RunConfig:
        """Return a ``RunConfig`` with these fields, and with ``add_memory`` as its input filter."""
        return RunConfig(call_model_input_filter=self.add_memory, **fields)

    async def add_memory(self, data: CallModelData[Any]) -> ModelInputData:
        """Put the memory into the instructions of one call of the model."""
        items, instructions = data.model_data.input, data.model_data.instructions
        if self._context is None:
            asked = items[begin_of_turn([*_roles(items), "end"]) :]
            query = "\n".join(turn.content for turn in interactions_from(asked) if turn.role == "User")
            self._context = await self._memory.recall(self._talk, query)
        parts = [part for part in (instructions, str(self._context)) if part]
        return ModelInputData(input=items, instructions="\n\n".join(parts) or None)

    async def on_agent_start(self, context: Any, agent: Any) -> None:  # noqa: ARG002
        """Forget a run that has failed, if this is another one."""
        usage = context.usage  # each run has its own; one that goes on after an approval has made requests
        if usage is not self._usage and not usage.requests:
            self._usage, self._items, self._context = usage, [], None
            self._talk = self._memory.conversation()

    async def on_llm_start(self, context: Any, agent: Any, system_prompt: Any, input_items: Any) -> None:  # noqa: ARG002
        """Note what the user has asked, and what tools have returned."""
        self._items = self._items or input_items[begin_of_turn(_roles(input_items)) :]
        returned = [item for item in input_items if get(item, "call_id") in _open_calls(self._items)]
        self._items += [item for item in returned if str(get(item, "type")).endswith("_output")]

    async def on_llm_end(self, context: Any, agent: Any, response: Any) -> None:  # noqa: ARG002
        """Note what the agent has said."""
        self._items += response.output

    async def on_agent_end(self, context: Any, agent: Any, output: Any) -> None:  # noqa: ARG002
        """Publish the turn."""
        items = self._items or context.turn_input  # no model was called: the run went on with a tool
        self._items, self._context = [], None
        # These are in no prompt: the results of tools that the agent stops at, and those of handoffs whose
        # history is nested.
        results = [
            {"type": "function_call_output", "call_id": call_id, "output": ""}
            for call_id in _open_calls(items)
        ]
        answered = items and get(items[-1], "role") == "assistant"
        answer = items.pop() if answered else {"role": "assistant", "content": str(output)}
        await self._memory.publish(self._talk, [*items, *results, answer])


def _roles(items: Sequence[Any]) -> list[str]:
    return ["answer" if get(item, "role") == "assistant" else str(get(item, "role")) for item in items]


def _open_calls(items: Sequence[Any]) -> list[Any]:
    """Return the ids of the calls that have not returned, in order."""
    ends = {get(item, "call_id") for item in items if str(get(item, "type")).endswith("_output")}
    calls = [get(item, "call_id") for item in items if str(get(item, "type")).endswith("_call")]
    return [call_id for call_id in calls if call_id and call_id not in ends]
