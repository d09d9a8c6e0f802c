"""The page of the clients' options."""

from __future__ import annotations

from inspect import signature as signature_of
from typing import TYPE_CHECKING, Any

from reflexio_async import AsyncReflectClient, AsyncReflexioClient, ClientOptions, RetryPolicy
from reflexio_async._engine.settings import Settings, ViewOptions
from reflexio_async.reflect.jobs import trace_kinds
from reflexio_async.reflexio.jobs import POLLED_KINDS, SLOT_KINDS
from sitegen.calls import signature
from sitegen.markdown import code, docstring, table, type_text, value_text

if TYPE_CHECKING:
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
            "## `AsyncReflexioClient`",
            signature("", "AsyncReflexioClient", AsyncReflexioClient),
            docstring(AsyncReflexioClient).text,
            _own_options(AsyncReflexioClient),
            "## `AsyncReflectClient`",
            signature("", "AsyncReflectClient", AsyncReflectClient),
            docstring(AsyncReflectClient).text,
            _own_options(AsyncReflectClient),
            "## `ClientOptions`",
            "The options that both clients have.",
            table(("option", "type", "default", "meaning"), _client_options()),
            "## Options of a view",
            f"`client.with_options(…)` is a view with other values for {view}. It shares everything else.",
            "## Defaults of waiting for jobs",
            WAITING,
            table(("kind of job", "poll interval, s", "wait timeout, s"), waiting_defaults()),
            "## `RetryPolicy`",
            docstring(RetryPolicy).text,
            table(("argument", "default", "meaning"), _retry_policy()),
        ]
    )


def _own_options(client: Any) -> str:
    about = docstring(client)
    rows = [
        (
            code(name),
            code(type_text(parameter.annotation)),
            code(value_text(parameter.default)),
            about.about(name),
        )
        for name, parameter in signature_of(client).parameters.items()
        if name != "options"
    ]
    return table(("argument", "type", "default", "meaning"), rows)


def _client_options() -> list[tuple[str, str, str, str]]:
    about = docstring(ClientOptions)
    settings = Settings("http://localhost")
    return [
        (
            code(name),
            code(type_text(ClientOptions.__annotations__[name])),
            code(default_text(getattr(settings, name))),
            about.about(name),
        )
        for name in ClientOptions.__annotations__
    ]


def default_text(value: Any) -> str:
    """A default of an option as one writes it."""
    if isinstance(value, int) and value >= MEBIBYTE:
        return f"{value // MEBIBYTE} * 2**20"
    return "{}" if value == {} else value_text(value)


def _retry_policy() -> list[tuple[str, str, str]]:
    about, policy = docstring(RetryPolicy), RetryPolicy()
    return [
        (code(name), code(value_text(getattr(policy, name))), meaning)
        for name, meaning in about.sections["Args"].items()
    ]


def waiting_defaults() -> list[tuple[str, str, str]]:
    """For each kind of job its name, its poll interval and its timeout."""
    polled: dict[str, PolledKind[Any]] = {**POLLED_KINDS, **trace_kinds(1).by_name()}
    rows = [
        (code(name), f"{kind.slot.poll_interval:g}", f"{kind.timeout:g}") for name, kind in SLOT_KINDS.items()
    ]
    return rows + [(code(name), f"{kind.interval:g}", f"{kind.timeout:g}") for name, kind in polled.items()]
