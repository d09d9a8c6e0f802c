"""A sandbox for an agent of a test, and what the agent has published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient
    from reflexio_async.testing import Sandbox


@dataclass(frozen=True)
class Play:
    """The parts of a test."""

    box: Sandbox
    client: AsyncReflexioClient

    def searches(self) -> int:
        """How often memory was recalled."""
        return self.box.count("POST", "/api/search")

    async def published(self) -> list[dict[str, Any]]:
        """The bodies of all publishes, once they are delivered."""
        await self.client.outbox.drained()
        return [
            record.body or {} for record in self.box.requests if record.path == "/api/publish_interaction"
        ]


def maps(of: str) -> str:
    """Where it is."""
    assert of == "sushi"
    return "harbour"


def assert_one_turn_with_a_tool(bodies: list[dict[str, Any]]) -> None:
    """One publish: the question, and an answer that used a tool and one memory."""
    (body,) = bodies
    of_user, of_agent = body["interaction_data_list"]
    assert of_user["content"] == "Where is sushi?"
    assert of_agent["content"] == "I look.\n\nAt the harbour."
    (tool,) = of_agent["tools_used"]
    assert (tool["tool_name"], tool["tool_data"]) == ("maps", {"input": {"of": "sushi"}, "output": "harbour"})
    assert len(of_agent["retrieved_learnings"]) == 1
