"""What is read and checked before the event loop starts: files, texts and keys."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn
from unicodedata import category

from reflexio_async._engine.files import fault_of
from reflexio_async.durable.database import without_password
from reflexio_async.errors import ConfigurationError, InvalidRequest


def load_extra(module: str, *, what: str, extra: str) -> None:
    """Load ``module``, which ``what`` needs, before the event loop begins: loading it reads files.

    Raises:
        ConfigurationError: The ``extra`` is not installed.
    """
    try:
        import_module(module)
    except ImportError as error:
        message = f"{what} needs the extra {extra}: pip install 'reflexio-async[{extra}]' ({error})"
        raise ConfigurationError(message) from None


def check_text(**arguments: str | None) -> None:
    """Refuse options that are not UTF-8: the shell passes any bytes on, and no request can carry them."""
    for name, value in arguments.items():
        if value is not None:
            check_utf8(f"--{name.replace('_', '-')}", value)


def check_utf8(name: str, value: str) -> None:
    """Refuse ``value`` if it is not UTF-8. The message begins with ``name``."""
    if any(category(char) == "Cs" for char in value):
        _refuse(f"{name}: not UTF-8 text")


def check_store(store: str) -> None:
    """Refuse a store that is not there: looking at it must not make it."""
    if not store or not is_there(store):
        _refuse(f"--store: there is no file {store!r}; the first client or rerun with this store makes it")


def is_there(store: str) -> bool:
    """Whether the file of a store exists. A database is not asked.

    Raises:
        InvalidRequest: The name is no name of a file.
    """
    try:
        return "://" in store or Path(store).exists()
    except (OSError, ValueError) as error:
        _refuse(f"--store: {store!r} cannot be read: {error}")


def check_new_store(store: str) -> None:
    """Check that the file of a store could be made.

    Raises:
        InvalidRequest: Its folder is missing, or may not be written to.
    """
    if (fault := fault_of(Path(store))) is not None:
        _refuse(f"--store: {store!r} cannot be made: {fault}")


def shown_store(store: str) -> str:
    """``store`` without a password, for people and logs."""
    if "://" not in store:
        return store
    try:
        return without_password(store)
    except ValueError:  # it is refused when it is opened
        return "the store"


def read_organisations(options: list[str]) -> dict[str, tuple[str, str]]:
    """The servers and keys that ``--org`` names, by name: ``NAME=URL`` or ``NAME=URL,VARIABLE``.

    Raises:
        InvalidRequest: One is none, is named twice, or its variable holds no key.
    """
    found: dict[str, tuple[str, str]] = {}
    for option in options:
        name, _, place = option.partition("=")
        url, _, variable = place.partition(",")
        # A key in place of the variable would be seen by all users of this machine.
        if not name or not url.startswith(("http://", "https://")) or not (variable or "A").isidentifier():
            _refuse(
                "--org: expected NAME=URL,VARIABLE, such as acme=https://reflexio.example,ACME_KEY; the "
                "environment variable holds the key"
            )
        if name in found:
            _refuse(f"--org: {name!r} is given twice")
        key = os.environ.get(variable, "") if variable else ""
        if variable and not key:
            _refuse(
                f"--org: {name!r}: the environment variable {variable} is not set, or empty; "
                "leave it out if the server asks for no key"
            )
        found[name] = url, key
    return found


def check_keys(*, api_key: str, reflect_api_key: str) -> None:
    """Refuse keys that no client could send unchanged."""
    from reflexio_async._engine.option_checks import secret_key  # noqa: PLC0415  # slow to load

    for option, key in (("--api-key", api_key), ("--reflect-api-key", reflect_api_key)):
        try:
            secret_key(option, key, "", url_name="--url")
        except ConfigurationError:
            _refuse(f"{option}: expected printable ASCII, and no URL")
        if key != key.strip():
            _refuse(f"{option}: blanks around a key get lost on the way; leave them out")


def read_text(argument: str | None) -> str:
    """``argument``, or all of standard input when it is ``-`` or absent."""
    if argument is not None and argument != "-":
        return argument
    if sys.stdin.isatty():
        sys.stderr.write("reading from the keyboard; end with Ctrl-D on a line of its own\n")
    return read_utf8("-")


def name_of(source: str) -> str:
    """The name of a file for messages; ``-`` is standard input."""
    return "standard input" if source == "-" else source


def read_bytes(source: str) -> bytes:
    """The content of the file ``source``; ``-`` is standard input.

    Raises:
        InvalidRequest: It cannot be read.
    """
    name = name_of(source)
    try:
        return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        _refuse(f"{name}: cannot be read: {error.strerror or error}")
    except ValueError as error:  # a NUL in the name
        _refuse(f"{name!r}: cannot be read: {error}")


def read_utf8(source: str) -> str:
    """The text of the file ``source``; ``-`` is standard input. A byte order mark may stand before it.

    Raises:
        InvalidRequest: It cannot be read, or is not UTF-8.
    """
    try:
        return read_bytes(source).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse(f"{name_of(source)}: not UTF-8 text ({error.reason} at byte {error.start + 1})")


def decode_line(line: bytes, name: str, number: int) -> str:
    """One line of a file as text. A byte order mark may stand before the first."""
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        _refuse(
            f"{name}, line {number}: not UTF-8 text ({error.reason} at byte {error.start + 1} of the line)"
        )


def _refuse(message: str) -> NoReturn:
    raise InvalidRequest(message)
