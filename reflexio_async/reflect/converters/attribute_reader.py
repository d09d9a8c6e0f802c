"""Reads objects of frameworks that are not imported: their attributes, content parts and JSON values."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any, cast

from pydantic import BaseModel

_MAX_DEPTH = 40  # deeper values, which come from objects that refer to each other, become "[…]"
_MAX_BITS = (
    10_000  # longer numbers become hexadecimal: Python refuses more than 4,300 decimal digits (14,000 bits)
)

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
_FIELDS_THAT_DESCRIBE_MEDIA = ("filename", "file_name", "media_type", "mime_type", "title")
_KINDS_WITHOUT_TEXT = ("cache-point",)


def get(item: object, name: str) -> Any:
    """Return an attribute, or the value of a key; None if there is neither."""
    if isinstance(item, Mapping):
        return cast("Mapping[str, Any]", item).get(name)
    try:
        return getattr(item, name, None)
    except ValueError:  # some properties raise it, such as the media type of a URL without a suffix
        return None


def has(item: object, name: str) -> bool:
    """Whether there is such an attribute or key, with any value."""
    return name in item if isinstance(item, Mapping) else hasattr(item, name)


def kind_of(item: object) -> str:
    """Return the item's own name of its type, or an empty text."""
    for name in ("part_kind", "type", "kind"):
        if isinstance(kind := get(item, name), str):
            return kind
    return ""


def is_mapping(value: object) -> bool:
    """Whether ``value`` is a mapping. As a function, so that type checkers do not ask for its types."""
    return isinstance(value, Mapping)


def is_list(value: object) -> bool:
    """Whether ``value`` is a collection of items. Text, bytes and pydantic models are not."""
    return isinstance(value, (Sequence, AbstractSet)) and not isinstance(value, (str, bytes, bytearray))


def items(value: object) -> list[Any]:
    """Return the items of a list; no items for anything else."""
    return list(cast("Iterable[Any]", value)) if is_list(value) else []


def other_fields(item: object, *names: str) -> dict[str, Any]:
    """Return the fields of an item as JSON values, without ``names`` and without empty or encrypted ones."""
    value = json_value(item)
    fields_of_item = cast("dict[str, Any]", value) if isinstance(value, dict) else {"value": value}
    left_out = {"encrypted_content", "type", "kind", "part_kind", *names}
    return {
        name: field
        for name, field in fields_of_item.items()
        if name not in left_out and field not in (None, [], {})
    }


def json_value(value: object, depth: int = 0) -> Any:
    """Return ``value`` as JSON allows it: media as placeholders, objects of unknown types as str()."""
    if value is None:
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _MAX_BITS else hex(value)
    if isinstance(value, str):
        # Lone surrogates, which file names may have, are not valid Unicode.
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray)):
        return f"[{len(value)} bytes]"
    return "[…]" if depth > _MAX_DEPTH else _json_container(value, depth + 1)


def _json_container(value: object, depth: int) -> Any:
    if (placeholder := media_placeholder(value)) is not None:
        return json_value(placeholder)
    if isinstance(value, Mapping):
        pairs = cast("Iterable[tuple[Any, Any]]", value.items())
        return {str(json_value(key, depth)): json_value(held, depth) for key, held in pairs}
    if is_list(value):
        return [json_value(held, depth) for held in items(value)]
    if isinstance(value, BaseModel):
        return json_value(value.model_dump(warnings=False), depth)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: json_value(getattr(value, field.name, None), depth) for field in fields(value)}
    return json_value(str(value))


def json_text(value: object) -> str:
    """Return ``value`` as JSON text."""
    return json.dumps(json_value(value), ensure_ascii=False)


def media_placeholder(part: object) -> str | None:
    """Return a placeholder for media, such as ``[image: image/png]``; None for anything else."""
    kind = _MEDIA.get(kind_of(part))
    if kind is None or get(part, "text"):
        return None
    inner = get(part, "file")  # as OpenAI's chat API nests it
    details = (get(source, name) for source in (part, inner) for name in _FIELDS_THAT_DESCRIBE_MEDIA)
    detail = next((text for text in details if isinstance(text, str) and text), "")
    if kind == "file" and detail.split("/")[0] in ("image", "audio", "video"):
        kind = detail.split("/")[0]
    return f"[{kind}: {detail:.80}]" if detail else f"[{kind}]"


def part_text(part: object) -> str:
    """Return one content part as text."""
    if isinstance(part, str):
        return part
    if (placeholder := media_placeholder(part)) is not None:
        return placeholder
    kind = kind_of(part)
    if kind in _KINDS_WITHOUT_TEXT:
        return ""
    for name in ("text", "content", "refusal"):
        if isinstance(text := get(part, name), str):
            return text
    return f"[{kind}] {json_text(other_fields(part))}" if kind else json_text(part)


def text_of(content: object) -> str:
    """Return content as text: text as it is, parts on lines of their own, other values as JSON."""
    if content is None:
        return ""
    if is_list(content):
        return "\n".join(text for part in items(content) if (text := part_text(part)))
    return part_text(content)


def reasoning_text(part: object) -> str:
    """Return the readable text of a reasoning part of any provider; "" when all of it is encrypted."""
    for name in ("reasoning", "thinking", "reasoning_content", "text", "content", "summary"):
        content = get(part, name)
        if isinstance(content, Mapping):
            content = get(cast("object", content), "text")
        text = text_of(content) if isinstance(content, str) or is_list(content) else ""
        if text:
            return text
    return ""
