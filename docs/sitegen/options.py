"""The page of the clients' options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reflexio_async import AsyncReflectClient, AsyncReflexioClient, ClientOptions, RetryPolicy
from reflexio_async._engine.settings import Settings, ViewOptions
from reflexio_async.reflect.jobs import trace_kinds
from reflexio_async.reflexio.jobs import POLLED_KINDS, SLOT_KINDS
from sitegen.markdown import code, docstring, table, type_text, value_text
from sitegen.objects import section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reflexio_async._engine.jobs.kinds import PolledKind

INTRODUCTION = """\
Durations are seconds. An option that is unusable, or misspelt, is a `ConfigurationError`.
[Environment variables](../environment.md) stand in for some."""
WAITING = """\
`poll_interval` and `wait_timeout` have a default for each kind of job. The first polls come sooner
than the interval."""
MEBIBYTE = 2**20


def options_page() -> str:
    """The page of the clients' options."""
    view = ", ".join(code(name) for name in sorted(ViewOptions.__optional_keys__))
    return "\n\n".join(
        [
            "# Options of the clients",
            INTRODUCTION,
            section(AsyncReflexioClient, methods=False),
            section(AsyncReflectClient, methods=False),
            "## `ClientOptions`",
            "The options that both clients have.",
            table(("option", "type", "default", "meaning"), _client_options()),
            "## Options of a view",
            f"`client.with_options(…)` is a view with other values for {view}. It shares everything else.",
            "## Defaults of waiting for jobs",
            WAITING,
            table(("kind of job", "poll interval, s", "wait timeout, s"), waiting_defaults()),
            section(RetryPolicy, methods=False),
        ]
    )


def _client_options() -> Iterator[tuple[str, str, str, str]]:
    about, settings = docstring(ClientOptions), Settings("http://localhost")
    for name, kind in ClientOptions.__annotations__.items():
        default: Any = getattr(settings, name)
        shown = f"{default // MEBIBYTE} * 2**20" if name == "max_response_bytes" else value_text(default)
        yield code(name), code(type_text(kind)), code(shown), about.about(name)


def waiting_defaults() -> Iterator[tuple[str, str, str]]:
    """For each kind of job its name, its poll interval and its timeout."""
    for name, slot_kind in SLOT_KINDS.items():
        yield code(name), f"{slot_kind.slot.poll_interval:g}", f"{slot_kind.timeout:g}"
    polled: dict[str, PolledKind[Any]] = {**POLLED_KINDS, **trace_kinds(1).by_name()}
    for name, kind in polled.items():
        yield code(name), f"{kind.interval:g}", f"{kind.timeout:g}"
