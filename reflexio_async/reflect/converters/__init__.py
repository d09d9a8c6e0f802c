"""Trajectories from what agent frameworks hand out: messages with a role and content, for ``create_trace``.

The frameworks are not imported: their objects are read by attribute (or key, where they were dumped to
mappings), so that any release with the same attributes will do.

What a conversion keeps:

* Text, as it was. Images, audio, video and files become a short placeholder such as ``[image: image/png]``:
  neither bytes nor URLs, which may carry a signature.
* Tool calls, on assistant messages, as ``tool_calls`` in OpenAI's chat shape with arguments as JSON text; the
  answers as ``tool`` messages with ``tool_call_id``. An answer that is not a success says so in ``status``.
* Reasoning that can be read, in ``reasoning_content`` of the assistant message it led to.
* Anything else that names its own type (a hosted tool's call, a compaction, a type of a later release), as a
  readable message or line, ``[type] {…}``.

What is no message at all raises InvalidRequest, naming its position and type. Usage, ids of messages,
encrypted reasoning and tool artifacts that no model was shown are left out.
"""

from __future__ import annotations

from reflexio_async.reflect.converters.langchain import from_langchain
from reflexio_async.reflect.converters.openai_agents import from_openai_agents
from reflexio_async.reflect.converters.pydantic_ai import from_pydantic_ai

__all__ = ["from_langchain", "from_openai_agents", "from_pydantic_ai"]
