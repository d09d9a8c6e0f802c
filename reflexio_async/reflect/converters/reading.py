"""Reading objects whose classes are not imported: attributes, content parts, JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any, cast

from pydantic import BaseModel

# Deeper values come from objects that refer to each other; no tool answers like that.
_DEEPEST = 40
_MOST_BITS = 10_000  # Python refuses to write much longer numbers in decimal

_MEDIA = {
    "audio": "audio",
    "audio-url": "audio",
    "binary": "file",
    "computer_screenshot": "image",
    "document": "file",
    "document-url": "file",
    "file": "file",
    "image": "image",
    "image-url": "image",
    "image_url": "image",
    "input_audio": "audio",
    "input_file": "file",
    "input_image": "image",
    "media": "file",
    "uploaded-file": "file",
    "video": "video",
    "video-url": "video",
}
_SILENT = ("cache-point",)  # marks a place, says nothing


def get(item: object, name: str) -> Any:
    """An attribute, or the value under a key; None where there is neither."""
    if isinstance(item, Mapping):
        return cast("Mapping[str, Any]", item).get(name)
    try:
        return getattr(item, name, None)
    except ValueError:  # a property that cannot tell, such as the media type of a bare URL
        return None


def has(item: object, name: str) -> bool:
    """Whether there is such an attribute or key, whatever it holds."""
    return name in item if isinstance(item, Mapping) else hasattr(item, name)


def kind_of(item: object) -> str:
    """What an item calls itself; "" when it does not."""
    for name in ("part_kind", "type", "kind"):
        if isinstance(kind := get(item, name), str):
            return kind
    return ""


def is_mapping(value: object) -> bool:
    """Whether it is read by key; as a function, so that no checker narrows it to keys unknown."""
    return isinstance(value, Mapping)


def is_list(value: object) -> bool:
    """Whether it is a collection of items rather than one; a pydantic model, though iterable, is one."""
    return isinstance(value, (Sequence, AbstractSet)) and not isinstance(value, (str, bytes, bytearray))


def items(value: object) -> list[Any]:
    """The items of a list; none of anything else."""
    return list(cast("Iterable[Any]", value)) if is_list(value) else []


def without(item: object, *names: str) -> dict[str, Any]:
    """What an item says besides these names, and besides what is empty or encrypted."""
    whole = plain(item)
    said = cast("dict[str, Any]", whole) if isinstance(whole, dict) else {"value": whole}
    left_out = {"encrypted_content", "type", "kind", "part_kind", *names}
    return {
        name: value for name, value in said.items() if name not in left_out and value not in (None, [], {})
    }


def plain(value: object, depth: int = 0) -> Any:
    """The value as JSON can hold it; media as placeholders, strangers as their text."""
    if value is None:
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _MOST_BITS else hex(value)
    if isinstance(value, str):
        # A lone surrogate, as file names have them, is no UTF-8.
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray)):
        return f"[{len(value)} bytes]"
    return "[…]" if depth > _DEEPEST else _plain_whole(value, depth + 1)


def _plain_whole(value: object, depth: int) -> Any:
    if (placeholder := media(value)) is not None:
        return plain(placeholder)
    if isinstance(value, Mapping):
        pairs = cast("Iterable[tuple[Any, Any]]", value.items())
        return {str(plain(key, depth)): plain(held, depth) for key, held in pairs}
    if is_list(value):
        return [plain(held, depth) for held in items(value)]
    if isinstance(value, BaseModel):
        return plain(value.model_dump(warnings=False), depth)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name, None), depth) for field in fields(value)}
    return plain(str(value))


def json_text(value: object) -> str:
    """The value as JSON text."""
    return json.dumps(plain(value), ensure_ascii=False)


def media(part: object) -> str | None:
    """A placeholder for what is no text, such as ``[image: image/png]``; None for anything else."""
    kind = _MEDIA.get(kind_of(part))
    if kind is None or get(part, "text"):
        return None
    inner = get(part, "file")  # where OpenAI's chat shape nests it
    named = (get(holder, name) for holder in (part, inner) for name in _NAMES)
    detail = next((name for name in named if isinstance(name, str) and name), "")
    if kind == "file" and detail.split("/")[0] in ("image", "audio", "video"):
        kind = detail.split("/")[0]
    return f"[{kind}: {detail:.80}]" if detail else f"[{kind}]"


_NAMES = ("filename", "file_name", "media_type", "mime_type", "title")


def part_text(part: object) -> str:
    """One content part as text."""
    if isinstance(part, str):
        return part
    if (placeholder := media(part)) is not None:
        return placeholder
    kind = kind_of(part)
    if kind in _SILENT:
        return ""
    for name in ("text", "content", "refusal"):
        if isinstance(text := get(part, name), str):
            return text
    return f"[{kind}] {json_text(without(part))}" if kind else json_text(part)


def text_of(content: object) -> str:
    """Content as text: as it is, each part on a line of its own, or the value as JSON."""
    if content is None:
        return ""
    if is_list(content):
        return "\n".join(text for part in items(content) if (text := part_text(part)))
    return part_text(content)


def reasoning_text(part: object) -> str:
    """What can be read of a reasoning part, in any provider's shape; "" when all of it is encrypted."""
    for name in ("reasoning", "thinking", "reasoning_content", "text", "content", "summary"):
        said = get(part, name)
        if isinstance(said, Mapping):
            said = get(cast("object", said), "text")
        text = text_of(said) if isinstance(said, str) or is_list(said) else ""
        if text:
            return text
    return ""
