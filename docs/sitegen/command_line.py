"""The page of the command ``reflexio-async``."""

from __future__ import annotations

import inspect
import typing
from typing import TYPE_CHECKING, Any

import typer.main

from reflexio_async.cli.app import app
from sitegen.markdown import code, prose, table, type_text

if TYPE_CHECKING:
    from collections.abc import Iterator


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, such as ``reflexio-async jobs wait``."""
    yield from _below("reflexio-async", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield name, command
    for sub_name, sub_command in getattr(command, "commands", {}).items():
        yield from _below(f"{name} {sub_name}", sub_command)


def command_line_page() -> str:
    """The page of the command."""
    parts = [
        "# The command line",
        "It needs the extra `cli`: `pip install 'reflexio-async[cli]'`. Or say `python -m reflexio_async`.",
    ]
    for name, command in commands():
        if name != "reflexio-async":
            parts.append(f"## `{name}`")
        parts += [_usage(name, command), prose(_help(command)), _options(command)]
        if getattr(command, "commands", None):
            rows = [
                (code(f"{name} {sub}"), _help(found).partition("\n\n")[0].replace("\n", " "))
                for sub, found in command.commands.items()
            ]
            parts.append(table(("command", "what it does"), rows))
    return "\n\n".join(part for part in parts if part)


def _help(command: Any) -> str:
    text: str = command.help or ""
    return "\n".join(line.strip() for line in text.strip().split("\n"))


def _usage(name: str, command: Any) -> str:
    words = [name]
    for param in command.params:
        if param.param_type_name == "argument":
            words.append(param.metavar if param.required else f"[{param.metavar}]")
        elif param.required:
            words.append(f"{param.opts[0]} {param.metavar}")
    optional = any(param.param_type_name == "option" and not param.required for param in command.params)
    words += ["[OPTIONS]"] * optional + ["COMMAND"] * bool(getattr(command, "commands", None))
    return f"```text\n{' '.join(words)}\n```"


def _options(command: Any) -> str:
    rows: list[tuple[str, str, str, str]] = []
    for param in command.params:
        is_flag = getattr(param, "is_flag", False)
        names = param.opts if param.param_type_name == "option" else [param.metavar]
        value = (
            ""
            if is_flag or param.param_type_name != "option"
            else param.metavar or _choices(command, param.name)
        )
        default = (
            "required"
            if param.required
            else ""
            if param.default in (None, "", False, [])
            else code(str(param.default))
        )
        more = (
            " May be given more than once."
            if getattr(param, "multiple", False) and "more than once" not in (param.help or "")
            else ""
        )
        variable = f" Environment variable: `{param.envvar}`." if getattr(param, "envvar", None) else ""
        rows.append(
            (", ".join(map(code, names)), code(value), default, f"{param.help or ''}{more}{variable}")
        )
    return table(("option", "value", "default", "meaning"), rows)


def _choices(command: Any, name: str) -> str:
    """The words that an option takes, from the annotation of the function."""
    choices = typing.get_type_hints(inspect.unwrap(command.callback))[name]
    return type_text(choices).replace("'", "").removesuffix(" | None")
