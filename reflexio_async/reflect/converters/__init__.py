"""Converters from the messages of agent frameworks to trajectories for ``create_trace``.

The frameworks are not imported. Their objects are read by attribute, and mappings by key, so that every
release with the same names can be read.

A trajectory holds:

* Text, unchanged. Images, audio, video and files become a placeholder such as ``[image: image/png]``, without
  bytes and without URLs, which may hold a signature.
* Tool calls, as ``tool_calls`` of assistant messages in the form of OpenAI's chat API, with arguments as JSON
  text. Their results, as ``tool`` messages with ``tool_call_id``. A result that is not a success has a
  ``status``.
* Reasoning that is not encrypted, as ``reasoning_content`` of the assistant message that it led to.
* Anything else that has a type (such as a call of a hosted tool, or a type of a later release), as a message
  or a line ``[type] {…}``.

An item that is no message raises InvalidRequest with its position and type. Token usage, message ids,
encrypted reasoning, and tool artifacts that are not sent to the model are left out.
"""

from __future__ import annotations

from reflexio_async.reflect.converters.agent_framework import from_agent_framework
from reflexio_async.reflect.converters.google_adk import from_google_adk
from reflexio_async.reflect.converters.langchain import from_langchain
from reflexio_async.reflect.converters.openai_agents import from_openai_agents
from reflexio_async.reflect.converters.pydantic_ai import from_pydantic_ai

__all__ = [
    "from_agent_framework",
    "from_google_adk",
    "from_langchain",
    "from_openai_agents",
    "from_pydantic_ai",
]
