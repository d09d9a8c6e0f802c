"""The lines that an agent needs for memory, in ``docs/how-to/agent-frameworks.md``: at most three."""

from __future__ import annotations

import re

from page_blocks import ROOT, blocks_of

PAGE = ROOT / "docs/how-to/agent-frameworks.md"
FRAMEWORKS = {
    "LangChain",
    "LangGraph",
    "Pydantic AI",
    "OpenAI Agents",
    "Microsoft Agent Framework",
    "Google ADK",
}


def glue() -> dict[str, int]:
    """How many lines end with the mark of the adapter, by the heading of their block."""
    marked = {block.heading: block.code.count("  # memory\n") for block in blocks_of(PAGE)}
    return {heading: count for heading, count in marked.items() if count}


def test_every_framework_needs_at_most_three_lines() -> None:
    assert glue().keys() == FRAMEWORKS
    assert max(glue().values()) <= 3


def test_the_table_says_how_many_lines_there_are() -> None:
    rows = re.findall(r"^\| \[([\w ]+)\]\([^|]*\| (\d) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {name: int(count) for name, count in rows} == glue()


def test_every_line_with_the_name_of_an_adapter_is_counted() -> None:
    names = r"integrations\.|Reflexio(?!Client)\w+\(|with_memory\(|memory\.run_config"
    lines = [
        line for block in blocks_of(PAGE) if block.heading in FRAMEWORKS for line in block.code.splitlines()
    ]
    assert [line for line in lines if re.search(names, line) and not line.endswith("  # memory")] == []
