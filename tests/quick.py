"""Which tests ``pytest -m quick`` runs: those to run while editing. And which ``-m frameworks`` runs."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent

QUICK = (
    "api",
    "batch",
    "core",
    "docs/test_reference.py",
    "endpoints",
    "jobs",
    "loops",
    "memory",
    "reflect",
    "transport",
    "test_docs.py",
    "test_errors.py",
    "test_exports.py",
    "test_settings.py",
    "test_version.py",
    "test_words.py",
)
"""Folders and files. What is marked ``real`` or ``slow`` in them is left out."""

FRAMEWORKS = (
    "endpoints/test_agent_frameworks.py",
    "endpoints/test_web_frameworks.py",
    "integrations/test_agent_framework.py",
    "integrations/test_google_adk.py",
    "integrations/test_langchain.py",
    "integrations/test_mcp.py",
    "integrations/test_openai_agents.py",
    "integrations/test_pydantic_ai.py",
    "integrations/test_web.py",
    "memory/test_messages_of_frameworks.py",
    "reflect/test_langchain.py",
    "reflect/test_openai_agents.py",
    "reflect/test_pydantic_ai.py",
    "transport/test_tracing_tools.py",
)
"""Files in these folders that import large frameworks, which takes seconds: they are not quick."""


def imports_frameworks(path: Path) -> bool:
    """Whether this file is one of ``FRAMEWORKS``."""
    return path.relative_to(TESTS).as_posix() in FRAMEWORKS


def is_quick(path: Path) -> bool:
    """Whether this file or folder, or what is in it, belongs to the quick tests."""
    parts = path.relative_to(TESTS).as_posix()
    return f"{parts}/".startswith(tuple(f"{place}/" for place in QUICK)) and parts not in FRAMEWORKS
