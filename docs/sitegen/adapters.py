"""The page of the adapters. It is read from their sources, since importing them takes frameworks."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import reflexio_async.integrations
from reflexio_async.integrations.agent_memory import MemoryOptions
from sitegen.markdown import code, docstring, parse, table, type_text

FOLDER = Path(reflexio_async.integrations.__file__).parent


def adapters_page() -> str:
    """The page of the adapters."""
    parts = [
        "# Adapters of frameworks",
        "Each module of `reflexio_async.integrations` needs the extra of its name.",
        "## Options of every agent's adapter",
        table(
            ("option", "type", "meaning"),
            [
                (code(name), code(type_text(MemoryOptions.__annotations__[name])), meaning)
                for name, meaning in docstring(MemoryOptions).sections["Attributes"].items()
            ],
        ),
    ]
    for file in sorted(FOLDER.glob("*.py")):
        if file.stem not in ("__init__", "agent_memory"):
            parts += _module(file)
    return "\n\n".join(part for part in parts if part)


def _module(file: Path) -> list[str]:
    tree = ast.parse(file.read_text("utf-8"))
    parts = [f"## `reflexio_async.integrations.{file.stem}`", parse(_doc(tree)).text]
    for node in tree.body:
        if isinstance(
            node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and not node.name.startswith("_"):
            about = parse(_doc(node))
            rows = [(code(name), meaning) for name, meaning in about.sections.get("Args", {}).items()]
            parts += [f"### `{node.name}`", about.text, table(("argument", "meaning"), rows)]
    return parts


def _doc(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return inspect.cleandoc(ast.get_docstring(node) or "")
