"""The page of the adapters. It is read from their sources, since importing them takes frameworks."""

from __future__ import annotations

import ast
from pathlib import Path

import reflexio_async.integrations
from reflexio_async.integrations.agent_memory import MemoryOptions
from sitegen.markdown import Docstring, code, docstring, parse, table, type_text

FOLDER = Path(reflexio_async.integrations.__file__).parent


def adapters_page() -> str:
    """The page of the adapters."""
    options = docstring(MemoryOptions).sections["Attributes"]
    rows = [
        (code(name), code(type_text(MemoryOptions.__annotations__[name])), meaning)
        for name, meaning in options.items()
    ]
    parts = [
        "# Adapters of frameworks",
        "Each module of `reflexio_async.integrations` needs the extra of its name.",
        "## Options of every agent's adapter",
        table(("option", "type", "meaning"), rows),
    ]
    for file in sorted(FOLDER.glob("[!_]*.py")):
        if file.stem != "agent_memory":
            tree = ast.parse(file.read_text("utf-8"))
            parts += [f"## `reflexio_async.integrations.{file.stem}`", _about(tree).text]
            parts += [part for node in tree.body for part in _section(node)]
    return "\n\n".join(part for part in parts if part)


def _section(node: ast.stmt) -> list[str]:
    """The section about a class or function; empty for anything else."""
    if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    if node.name.startswith("_"):
        return []
    about = _about(node)
    rows = [(code(name), meaning) for name, meaning in about.sections.get("Args", {}).items()]
    return [f"### `{node.name}`", about.text, table(("argument", "meaning"), rows)]


def _about(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Docstring:
    return parse(ast.get_docstring(node) or "")
