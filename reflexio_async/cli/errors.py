"""How errors are reported: one line on stderr, in the words of the command line, and JSON with ``--json``."""

from __future__ import annotations

import json
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from typer import Abort, TyperException
from typer.core import TyperGroup

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import BAD_INPUT, INTERRUPTED, SOME_FAILED
from reflexio_async.cli.json_input import BadLines
from reflexio_async.cli.terminal import discard_stdout
from reflexio_async.errors import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    InvalidRequest,
    JobError,
    ReflexioError,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_PHRASES = (
    (
        re.escape("pass api_key, set REFLEXIO_API_KEY, or await client.login(email, password)"),
        "pass --api-key, or set REFLEXIO_API_KEY",
    ),
    (
        re.escape("pass ssl=ssl.create_default_context(cafile=…), or set SSL_CERT_FILE before Python starts"),
        "set SSL_CERT_FILE",
    ),
    (r"Dumps have masks; .*", "config get --show-secrets has the credentials"),
    ("^(update_config|set_config): ", ""),
    ("^token: not a job token; .*", "TOKEN: not the token of a job; the lines of rerun --json have it"),
    ("; trust_env=False ignores it", ""),
    ("base_url or reflect_url", "--url"),
    (r"user_ids\[\d+\]: user_id", "--user"),
    (r"user_ids\[\d+\]: (.+) is already at \[\d+\]; give each one once", r"--user: \1 is given twice"),
)
"""What the client says to programmers, as patterns, and what the command line says instead."""
_OPTIONS = {
    "base_url": "--url",
    "url_endpoint": "--url",
    "user_ids": "--user",
    "user_id": "--user",
    "session_id": "--session",
    "project_id": "--project",
    "playbook_name": "--name",
    "api_key": "--api-key",
    "agent_version": "--agent-version",
    "poll_interval": "--poll-interval",
    "wait_timeout": "--wait-timeout",
    "top_k": "--limit",
    "max_chars": "--max-chars",
    "batch_id": "--batch-id",
    "rerun_seconds": "--rerun-seconds",
}
"""Arguments of the client's calls, and the options with another spelling."""
_ALSO_OPTIONS = ("concurrency", "source", "threshold", "limit", "timeout", "alpha", "store", "label", "role")
"""Arguments that are ordinary words. They are options where a message begins with them."""
_FIELDS = ("retry_after", "correlation_id", "outcome_unknown", "token", "failed_users", "lines")
"""Attributes of errors that ``--json`` writes. ``status`` is too: that of the response, or of the job."""


_SET_UP = (APIConnectionError, AuthenticationError, UnexpectedResponse)
"""Errors that are often about the address or the key."""


class CommandLine(TyperGroup):
    """The group of all commands. It reports their errors."""

    def main(self, args: Sequence[str] | None = None, *positional: Any, **options: Any) -> NoReturn:
        """Run the command that ``args`` name, and exit with its code."""
        given = list(sys.argv[1:] if args is None else args)
        if "--" in given:
            given = given[: given.index("--")]
        try:
            code = super().main(args, *positional, **{**options, "standalone_mode": False})
        except Abort:
            code = INTERRUPTED
        except Exception as error:  # noqa: BLE001  # whatever it is, it is one line
            if "--debug" in given:
                traceback.print_exception(error)
            code = _report(error, as_json="--json" in given)
        sys.exit(code if isinstance(code, int) else 0)


def _report(error: Exception, *, as_json: bool) -> int:
    """Print the error, and return the exit code."""
    kind, message, code = _described(error)
    if not message:
        return code  # no command was named, and its help was printed
    if as_json:
        described = {"type": kind, "message": message, **_fields(error)}
        try:
            output.write_line(json.dumps({"error": described}, ensure_ascii=False, default=str))
        except OSError:  # stdout cannot be written, which may be this very error
            discard_stdout()
    more = " (reflexio-async doctor says more)" if isinstance(error, _SET_UP) else ""
    output.print_error(f"{message}{more}")
    return code


def _fields(error: Exception) -> dict[str, Any]:
    """What ``--json`` tells of an error besides its message."""
    fields = {name: value for name in _FIELDS if (value := getattr(error, name, None)) is not None}
    if isinstance(error, JobError):
        return {"status": error.status.state, **fields}
    status = getattr(error, "status", None)
    return fields if status is None else {"status": status, **fields}


def _described(error: Exception) -> tuple[str, str, int]:
    """The type, the message and the exit code."""
    kind, message, code = type(error).__name__, str(error), SOME_FAILED
    match error:
        case TyperException():
            kind, message, code = "UsageError", _plain(error.format_message().rstrip(".")), BAD_INPUT
            command = getattr(getattr(error, "ctx", None), "command_path", "")
            if message and command:
                message = f"{message[0].lower()}{message[1:]} (see {command} --help)"
        case BadLines():  # its words are those of the file
            code = BAD_INPUT
        case InvalidRequest():
            message, code = own_words(error.faults), BAD_INPUT
        case ConfigurationError():
            message, code = own_words(message), BAD_INPUT
        case ReflexioError():
            message = own_words(message)
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            message = f"{place}{error.strerror or error}"
        case _:
            message = f"{kind}: {error} (a defect of reflexio-async; --debug shows where)"
    return kind, message, code


def own_words(message: str) -> str:
    """``message`` with the command line's options in place of the client's arguments."""
    for phrase, own in _PHRASES:
        message = re.sub(phrase, own, message)
    message = re.sub(
        rf"(?<![\w./'{{-])({'|'.join(_OPTIONS)})\b(?!=)", lambda match: _OPTIONS[match[1]], message
    )
    return re.sub(rf"^({'|'.join(_ALSO_OPTIONS)})(?=:| must)", r"--\1", _plain(message))


def _plain(message: str) -> str:
    """``message`` without the phrases of pydantic, which typer uses too."""
    return message.replace("Value error, ", "").replace("Input should be", "must be")
