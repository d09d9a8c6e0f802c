"""The adapter of LangChain and LangGraph, with the real packages and a fake model."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integrations.frameworks import require

require("langchain", "langgraph")

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from reflexio_async.integrations.langchain import MemoryState, ReflexioMiddleware, with_memory
from reflexio_async.testing.conformance import AdapterConformance

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient
    from reflexio_async.testing.conformance import Ask, Model


class FakeModel(BaseChatModel):
    """Answers with what ``answer`` returns."""

    answer: Any

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        answer = await self.answer("\n".join(message.text for message in messages))
        message = answer if isinstance(answer, AIMessage) else AIMessage(answer)
        return ChatResult(generations=[ChatGeneration(message=message)])


def asking(graph: Any) -> Ask:
    """Run a graph whose context names the user, and whose thread is the session."""

    async def ask(user_id: str, session_id: str, question: str) -> str:
        state = await graph.ainvoke(
            {"messages": [{"role": "user", "content": question}]},
            {"configurable": {"thread_id": session_id}},
            context={"user_id": user_id},
        )
        return str(state["messages"][-1].text)

    return ask


class TestMiddleware(AdapterConformance):
    """The middleware, with a history in a checkpointer."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        middleware = [ReflexioMiddleware(client)]
        agent = create_agent(
            FakeModel(answer=model),
            system_prompt="Be brief.",
            middleware=middleware,
            checkpointer=InMemorySaver(),
        )
        return asking(agent)


class TestNode(AdapterConformance):
    """The node of a graph, with a history in a checkpointer."""

    def agent(self, client: AsyncReflexioClient, model: Model) -> Ask:
        chat = FakeModel(answer=model)

        async def call_model(state: MemoryState) -> dict[str, Any]:
            return {"messages": [await chat.ainvoke(state["messages"])]}

        graph = StateGraph(MemoryState, output_schema=MessagesState)
        graph.add_node("model", with_memory(client, call_model))
        graph.add_edge(START, "model")
        return asking(graph.compile(checkpointer=InMemorySaver()))
