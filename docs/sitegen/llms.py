"""The site for language models: ``llms.txt``, ``llms-full.txt``, and each page as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sitegen.markdown import without_code

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ABOUT = """\
# reflexio_async

> The asyncio client for agent memory: Reflexio and Reflect. Every call is a typed coroutine function. Reruns
> that are started together all finish, and what a store holds survives kill -9.
"""
SECTIONS = {
    "tutorials": "Tutorials",
    "how-to": "How-to pages",
    "explanations": "Explanations",
    "reference": "Reference",
}


def write(source: Path, target: Path, names: Iterable[str]) -> None:
    """Write both files, and each page as Markdown, into the folder ``target``.

    They are made of the pages ``names`` of the folder ``source``.
    """
    texts = {name: (source / f"{name}.md").read_text("utf-8") for name in names}
    for name, text in texts.items():
        (target / f"{name}.md").write_text(plain(text) + "\n", "utf-8")
    (target / "llms.txt").write_text(overview(texts), "utf-8")
    (target / "llms-full.txt").write_text(
        "\n\n".join(plain(texts[name]) for name in _in_order(texts)) + "\n", "utf-8"
    )


def overview(texts: dict[str, str]) -> str:
    """``llms.txt``: each page with its title and its first sentence. ``texts`` are the pages by name."""
    parts = [ABOUT]
    for folder, title in SECTIONS.items():
        pages = [
            name for name in _in_order(texts) if name.startswith(f"{folder}/") and not name.endswith("index")
        ]
        lines = [f"- [{_title(texts[name])}]({name}.md): {_about(texts[name])}" for name in pages]
        parts.append("\n".join([f"## {title}", "", *lines, ""]))
    return "\n".join(parts)


def plain(markdown: str) -> str:
    """A page without what is for Sphinx alone."""
    without = re.sub(r"^```\{toctree\}.*?^```\n?", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"\n{3,}", "\n\n", without).strip()


def _in_order(names: Iterable[str]) -> list[str]:
    folders = ["index", *SECTIONS, "contributing"]
    return sorted(
        names, key=lambda name: (folders.index(name.split("/")[0]), name.endswith("index") is False, name)
    )


def _title(markdown: str) -> str:
    return markdown.partition("\n")[0].removeprefix("# ")


def _about(markdown: str) -> str:
    """The first sentence below the title, without links."""
    paragraphs = [
        part
        for part in without_code(plain(markdown)).split("\n\n")[1:]
        if part[:1] not in "#|-`*" or part.startswith("`")
    ]
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraphs[0].split())) if paragraphs else ""
    return re.split(r"(?<=\.) ", text)[0]
