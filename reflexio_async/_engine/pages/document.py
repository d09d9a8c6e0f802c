"""A whole HTML page in one text: it asks for nothing from elsewhere, and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from contextlib import suppress
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.files import fault_of
from reflexio_async.errors import InvalidRequest, printable

if TYPE_CHECKING:
    import os


def resource(name: str) -> str:
    """The text of a file beside this one."""
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def text(content: object) -> str:
    """``content`` as text of HTML or as a quoted attribute, whatever characters it has."""
    return escape(printable(str(content)))


def data_script(content: Any) -> str:
    """``content`` as JSON in an element that a script reads. No text in it can end the element.

    All that is not ASCII is escaped: lone surrogates and U+2028 too.
    """
    written = json.dumps(content, separators=(",", ":"), allow_nan=False)
    for char in "<>&":
        written = written.replace(char, f"\\u{ord(char):04x}")
    return f'<script type="application/json" id="data">{written}</script>'


def whole_page(title: str, body: str, *, style: str, script: str) -> str:
    """A page with one style sheet and one script. The policy names both by their digests."""
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<title>{text(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>{style}</style>\n</head>\n<body>\n{body}\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def check_page_path(path: str | os.PathLike[str], *, name: str = "path") -> Path:
    """The path of a page that is to be written.

    Raises:
        InvalidRequest: It is a folder, or its own folder is missing or may not be written.
    """
    try:
        page = Path(path)
        fault = fault_of(page)
        if fault is None:
            return page
    except (OSError, ValueError, TypeError) as error:  # a NUL in it, or a name that is too long
        fault = str(error)
    message = f"{name}: {str(path)!r:.300} cannot be written: {fault}"
    raise InvalidRequest(message)


def write_page(path: str | os.PathLike[str], page: str) -> Path:
    """Write a page, and return its path. Who reads it meanwhile sees the old file or the new one, whole.

    Raises:
        InvalidRequest: It cannot be written. The message says why.
    """
    place = check_page_path(path)
    made = None
    try:
        with tempfile.NamedTemporaryFile(
            "wb", dir=place.parent, prefix=".", suffix=".html", delete=False
        ) as file:
            made = file.name
            file.write(page.encode())
        Path(made).replace(place)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if made is not None:
            with suppress(OSError):
                Path(made).unlink()
        message = f"path: {str(path)!r:.300} cannot be written: {getattr(error, 'strerror', None) or error}"
        raise InvalidRequest(message) from None
    return place
