"""Docstrings, types and tables as Markdown."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from enum import Enum
from textwrap import dedent
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, ForwardRef, Literal, Union, get_args, get_origin

from reflexio_async.reflect.judge import Judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic.fields import FieldInfo

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):\n((?: {4}.*\n|\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^\*{0,2}(\w+): (.*(?:\n .*|\n(?=\n* ))*)", re.MULTILINE)
_NAMES = ((None, "None"), (NoneType, "None"), (Ellipsis, "..."), (Judge, "Judge"))
"""Types that have a name of their own here. That of a judge is too long to be read."""
_CODE = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)


@dataclass
class Docstring:
    """A docstring in Google's style, as Markdown."""

    text: str = ""
    """What stands before the first section, and ``Returns``."""
    sections: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    """By the name of the section: what it says of each name."""

    @property
    def summary(self) -> str:
        """The first paragraph."""
        return self.text.partition("\n\n")[0]

    def about(self, name: str) -> str:
        """What it says of this argument or attribute; empty: nothing."""
        return next((of[name] for of in self.sections.values() if name in of), "")


def docstring(thing: object) -> Docstring:
    """The docstring of ``thing``."""
    return parse(inspect.getdoc(thing) or "")


def parse(text: str) -> Docstring:
    """Take a docstring apart."""
    before, *parts = _SECTION.split(f"{text}\n")
    found = Docstring(prose(before))
    for name, body, after in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        indented = dedent(body)
        if name in ("Returns", "Yields"):
            found.text += f"\n\n{name} {prose(indented)[0].lower()}{prose(indented)[1:]}"
        else:
            found.sections[name] = {
                entry: " ".join(prose(meaning).split()) for entry, meaning in _ENTRY.findall(indented)
            }
        if after.strip():
            found.text += f"\n\n{prose(after)}"
    return found


def prose(text: str) -> str:
    """Text of a docstring as Markdown: its code in single backticks, its indented blocks fenced."""
    lines: list[str] = []
    block: list[str] = []
    for line in [*text.strip("\n").split("\n"), ""]:
        if line.startswith("    ") and (block or not lines or not lines[-1].strip()):
            block.append(line[4:])
        elif block and not line.strip():
            block.append("")
        else:
            if block:
                shown = "\n".join(block).rstrip()
                lines += ["```text" if "──" in shown else "```python", shown.replace("``", ""), "```", ""]
                block = []
            lines.append(
                re.sub(r"``(.+?)``", r"`\1`", line).replace("::", ":")
                if "``" in line or "::" in line
                else line
            )
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def type_text(kind: Any) -> str:  # noqa: PLR0911  # one line per kind of type
    """A type as one writes it."""
    if isinstance(kind, str):
        return kind
    if isinstance(kind, ForwardRef):
        return kind.__forward_arg__
    for known, known_name in _NAMES:
        if kind == known:
            return known_name
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return type_text(arguments[0])
    if origin in (Union, UnionType):
        texts = dict.fromkeys(type_text(argument) for argument in arguments)
        return " | ".join(sorted(texts, key="None".__eq__))
    if origin is Literal:
        return " | ".join(repr(argument) for argument in arguments)
    if kind.__class__ is list:  # the parameters of a Callable
        return f"[{', '.join(map(type_text, kind))}]"
    if arguments:
        return f"{type_text(origin)}[{', '.join(map(type_text, arguments))}]"
    name: str = getattr(kind, "__name__", str(kind))
    return name


def value_text(value: Any) -> str:
    """A default as one writes it."""
    if isinstance(value, Enum):
        return f'"{value.value}"' if isinstance(value.value, str) else repr(value.value)
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str):
        return f'"{value}"'
    if value in ((), []):
        return "[]"
    return repr(value).replace("Ellipsis", "…").replace("datetime.", "")


def default_of(field: FieldInfo) -> str:
    """The default of a model's field."""
    if field.is_required():
        return "required"
    made = field.get_default(call_default_factory=True)
    # What a factory makes is another value each time, such as the present time.
    return "made anew" if field.default_factory and made not in ([], {}) else code(value_text(made))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; empty when it has no rows. A column in which nothing stands is left out."""
    found = [[cell.replace("\n", " ") for cell in row] for row in rows]
    kept = [number for number in range(len(headings)) if any(row[number] for row in found)]
    if not kept:
        return ""
    lines = [[headings[number] for number in kept], ["-"] * len(kept)]
    lines += [[_in_cell(row[number]) for number in kept] for row in found]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _in_cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def code(text: str) -> str:
    """``text`` as code; nothing for nothing."""
    return f"`{text}`" if text else ""


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def without_code(markdown: str) -> str:
    """``markdown`` without its fenced blocks."""
    return _CODE.sub("", markdown)


def headings(markdown: str) -> list[str]:
    """The headings of a page."""
    return re.findall(r"^#+ (.+)$", without_code(markdown), re.MULTILINE)


def anchors(markdown: str) -> list[str]:
    """The anchor of each heading. Of the same anchors all but the first get a number, as MyST does it."""
    found: list[str] = []
    for heading in headings(markdown):
        plain = anchor(heading)
        number = sum(re.fullmatch(rf"{re.escape(plain)}(-\d+)?", other) is not None for other in found)
        found.append(f"{plain}-{number}" if number else plain)
    return found


def links(markdown: str) -> list[str]:
    """The targets of a page's links that lead to pages of ours."""
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", without_code(markdown))


_LINKABLE = re.compile(
    r"""^(?:(?P<fence>`{3,})[\s\S]*?^(?P=fence)$|\#.*$)  # not in a block of code, nor in a heading
    | \[[^\]\n]*\]\([^)\n]*\)  # nor in a link
    | `(?P<code>[^`\n]+)`
    | (?<![\w./])(?P<name>(?:[A-Z][a-z]+){2,})(?!\w)
    """,
    re.VERBOSE | re.MULTILINE,
)


def with_links(markdown: str, targets: Mapping[str, str]) -> str:
    """``markdown`` in which the names that have a section, and types that hold one, lead to ``targets``."""

    def link(found: re.Match[str]) -> str:
        known: str = found["name"] or _name_in(found["code"] or "", targets)
        return f"[{found[0]}]({targets[known]})" if known in targets else found[0]

    return _LINKABLE.sub(link, markdown)


def _name_in(code: str, targets: Mapping[str, str]) -> str:
    """The name in a piece of code that it leads to: of a class in a type, of a call. Empty: none."""
    if called := re.fullmatch(r"(?:client\.(?:reflect\.)?)?(\w+)\(.*\)", code):
        return called[1]
    words = re.findall(r"\w+", code) if re.fullmatch(r"[\w\[\], .|\\]+", code) else []
    # A single word, such as `store`, may be an argument as well. A call has parentheses then.
    known = (word for word in words if word in targets and (word[0].isupper() or "_" in word.strip("_")))
    return next(known, "")
