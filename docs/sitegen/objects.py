"""The pages about the other objects: handles, batches, stores, what agents use, events."""

from __future__ import annotations

import dataclasses
import inspect
import re
from enum import Enum
from typing import Any, NamedTuple, get_type_hints

import reflexio_async
from reflexio_async import errors
from reflexio_async.durable.outbox import Outbox
from reflexio_async.durable.rows import OutboxRow, OutboxStats
from reflexio_async.reflect import presets
from reflexio_async.worker import Organisation, Worker, WorkerStats
from sitegen.calls import arguments, signature
from sitegen.markdown import code, docstring, table, type_text, value_text


class Page(NamedTuple):
    """One page about objects."""

    page: str
    title: str
    about: str
    things: tuple[Any, ...]


def _public(*names: str) -> tuple[Any, ...]:
    return tuple(getattr(reflexio_async, name) for name in names)


PAGES = (
    Page(
        "jobs",
        "Jobs and other handles",
        "What outlives its HTTP call returns a handle at once. Drop it, or await it.",
        _public(
            "Job",
            "TraceJob",
            "BackgroundCall",
            "JobStatus",
            "JobState",
            "JobTiming",
            "as_completed",
            "gather_jobs",
        ),
    ),
    Page(
        "batches",
        "Batches and reports",
        "A batch runs many keys, and gives each an outcome of its own.",
        _public(
            "Batch",
            "BatchReport",
            "Outcome",
            "OutcomeState",
            "BatchPlan",
            "BatchProgress",
            "WaitingFor",
            "JobWait",
            "WaitReason",
        ),
    ),
    Page(
        "store",
        "Store, outbox and workers",
        "What a client keeps with `store=`, what waits to be sent, and the workers of a store in Postgres "
        "(`from reflexio_async.worker import Worker, Organisation`).",
        (
            *_public(
                "StoreView", "StoreStats", "JobEntry", "BatchEntry", "LaneEntry", "AccountEntry", "CallEntry"
            ),
            Outbox,
            OutboxStats,
            OutboxRow,
            *_public("OutboxCall", "DrainSummary"),
            Worker,
            Organisation,
            WorkerStats,
        ),
    ),
    Page(
        "agents",
        "Objects for agents",
        "Memory in the prompt, the trace of a run, and converters of frameworks' messages.",
        _public(
            "MemoryContext",
            "Conversation",
            "interactions_from",
            "TraceContext",
            "TraceResult",
            "reflect_trace",
            "LearningReport",
            "from_agent_framework",
            "from_google_adk",
            "from_langchain",
            "from_openai_agents",
            "from_pydantic_ai",
        ),
    ),
    Page(
        "events",
        "Events, hooks and clocks",
        "A hook is an option of the client: a function that is called with an event. Its errors are logged, "
        "not raised. Events hold no texts of users and no credentials.",
        _public(
            "RequestEvent",
            "RetryEvent",
            "BackgroundErrorEvent",
            "ServerQuirkWarning",
            "Clock",
            "SystemClock",
        ),
    ),
)
INTERNAL = {
    "BackgroundCall": ("wait_in_call",),
    "Batch": ("start_nothing_more",),
    "Fault": ("strikes",),
    "Faults": ("intercept",),
    "JobStatus": ("redacted",),
    "Job": ("check_start", "result_within", "wait_in_call"),
    "Outbox": (
        "add",
        "busy",
        "deliver",
        "drained",
        "leave_loop",
        "left_for",
        "look_at",
        "organisation",
        "running_tokens",
        "stored",
        "take_over",
        "unanswered_starts",
        "wake",
    ),
    "OutboxCall": ("end",),
    "ReflectSettings": ("failing", "seconds_of"),
    "Sandbox": ("restart_soon",),
    "VirtualClock": ("released",),
}
"""For each class the public names that only the package uses."""


ELSEWHERE = {
    "AsyncReflexioClient",
    "AsyncReflectClient",
    "ClientOptions",
    "RetryPolicy",
    "SessionScopedClient",
}
"""Names of the package with a page of another kind."""


def page(about: Page) -> str:
    """A page about objects. A name that no page lists is on that of its part of the package."""
    things = [*about.things, *(thing for thing in _not_listed() if _page_of(thing) == about.page)]
    return "\n\n".join([f"# {about.title}", about.about, *map(section, things)])


def _not_listed() -> list[Any]:
    listed = {thing.__name__ for about in PAGES for thing in about.things} | ELSEWHERE | {"__version__"}
    things = [getattr(reflexio_async, name) for name in reflexio_async.__all__ if name not in listed]
    return [thing for thing in things if thing.__module__ != errors.__name__]


def _page_of(thing: Any) -> str:
    parts = {"_engine.jobs": "jobs", "_engine.batch": "batches", "durable": "store", "memory": "agents"}
    module: str = thing.__module__.removeprefix("reflexio_async.")
    return next((page for part, page in parts.items() if module.startswith(part)), "events")


def section(thing: Any) -> str:
    """The section about a class or function."""
    name: str = thing.__name__
    if not inspect.isclass(thing):
        return function(thing, name, "##")
    about = docstring(thing)
    parts = [f"## `{name}`", about.text]
    if issubclass(thing, Enum):
        parts.append(
            table(("name", "value"), [(code(member.name), code(repr(member.value))) for member in thing])
        )
        return "\n\n".join(parts)
    if "Args" in about.sections and name != "Outbox":  # which only a client makes
        parts += [signature("", name, thing), arguments(thing)]
    parts.append(attributes(thing))
    for member in _methods(thing):
        value = inspect.getattr_static(thing, member)
        bound = getattr(thing, member)
        # A method of a clock may be a builtin, of which nothing is known; the protocol has it too.
        if not isinstance(value, property) and not inspect.isbuiltin(bound):
            parts.append(function(bound, f"{name}.{member}", "###"))
    return "\n\n".join(part for part in parts if part)


def function(value: Any, name: str, level: str) -> str:
    """The section about a function or method."""
    about = docstring(value)
    raises = about.sections.get("Raises", {})
    owner, dot, method = name.partition(".")
    called = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", owner).lower() + dot + method if dot else name
    parts = [
        f"{level} `{name}`",
        signature("", called, value, typed="Args" not in about.sections),
        about.text,
        arguments(value) if "Args" in about.sections else "",
        "".join(f"- **Raises** `{error}`: {when}\n" for error, when in raises.items()).strip(),
    ]
    return "\n\n".join(part for part in parts if part)


def _methods(kind: type) -> list[str]:
    """The public names that ``kind`` and its parents in this package define, in their order."""
    names: dict[str, None] = {}
    for parent in kind.__mro__:
        if parent.__module__.startswith("reflexio_async"):
            names |= {
                name: None
                for name, value in vars(parent).items()
                if not name.startswith("_")
                and (callable(value) or isinstance(value, property | classmethod | staticmethod))
            }
    internal = {name for parent in kind.__mro__ for name in INTERNAL.get(parent.__name__, ())}
    return [name for name in names if name not in internal and not name.startswith("test_")]


def attributes(kind: type) -> str:
    """The table of the attributes and properties of ``kind``."""
    thing: Any = kind
    about = docstring(kind)
    rows: dict[str, tuple[str, str, str]] = {}
    hints = _hints(kind)
    names = list(about.sections.get("Attributes", {}))
    defaults: dict[str, Any] = {}
    if dataclasses.is_dataclass(thing) or hasattr(thing, "_asdict"):  # a named tuple has it
        given = inspect.signature(kind).parameters.values()
        names += [parameter.name for parameter in given if not parameter.name.startswith("_")]
        factories = {
            found.name: found.default_factory()
            for found in (dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ())
            if found.default_factory is not dataclasses.MISSING
        }
        defaults = {
            parameter.name: factories.get(parameter.name, parameter.default)
            for parameter in given
            if parameter.default is not parameter.empty
        }
    documented = about.sections.get("Args", {})
    for name in dict.fromkeys(names):
        if name not in documented:
            meaning = about.about(name)
            default = code(value_text(defaults[name])) if name in defaults else ""
            rows[name] = (code(type_text(hints.get(name, ""))), default, meaning)
    for name in _methods(kind):
        value = inspect.getattr_static(kind, name)
        if isinstance(value, property) and value.fget is not None:
            returns = inspect.signature(value.fget).return_annotation
            rows[name] = (code(type_text(returns)), "", " ".join(docstring(value).text.split()))
    return table(
        ("attribute", "type", "default", "meaning"), [(code(name), *row) for name, row in rows.items()]
    )


def _hints(kind: type) -> dict[str, Any]:
    try:
        return get_type_hints(kind)
    except NameError:  # a type that only checkers import
        return {
            name: hint for parent in kind.__mro__ for name, hint in inspect.get_annotations(parent).items()
        }


def presets_text() -> str:
    """The section about the options that the vendor advises."""
    values: dict[str, dict[str, Any]] = {"COLD_START": {**presets.COLD_START}, "LATER": {**presets.LATER}}
    names = list(values["LATER"])
    rows = [
        (code(f"presets.{name}"), *(code(str(preset[option])) for option in names))
        for name, preset in values.items()
    ]
    about = docstring(presets).text.partition("\n\nServer-behaviour")[0]
    return f"## Presets\n\n{about}\n\n{table(('preset', *map(code, names)), rows)}"
