"""The pages about the other objects: handles, batches, stores, what agents use, events."""

from __future__ import annotations

import dataclasses
import inspect
import re
from dataclasses import MISSING
from enum import Enum
from typing import Any, NamedTuple

import reflexio_async
from reflexio_async import errors, testing, worker
from reflexio_async.durable import outbox, rows
from reflexio_async.sandbox.fault_config import ACTIONS
from reflexio_async.testing import conformance, faults
from sitegen.calls import arguments, raises, signature
from sitegen.markdown import code, docstring, table, type_text, value_text


class Page(NamedTuple):
    """One page about objects."""

    page: str
    title: str
    about: str
    names: str
    """The classes and functions, those first that are used most."""


def _is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, errors.ReflexioError)


PAGES = (
    Page(
        "jobs",
        "Jobs and other handles",
        "What outlives its HTTP call returns a handle at once. Drop it, or await it.",
        "Job TraceJob BackgroundCall JobStatus JobState JobTiming as_completed gather_jobs",
    ),
    Page(
        "batches",
        "Batches and reports",
        "A batch runs many keys, and gives each an outcome of its own.",
        "Batch BatchReport Outcome OutcomeState BatchPlan BatchProgress WaitingFor JobWait WaitReason",
    ),
    Page(
        "store",
        "Store, outbox and workers",
        "What a client keeps with `store=`, what waits to be sent, and the workers of a store in Postgres "
        "(`from reflexio_async.worker import Worker, Organisation`).",
        "StoreView StoreStats JobEntry BatchEntry LaneEntry AccountEntry CallEntry Outbox OutboxStats "
        "OutboxRow OutboxCall DrainSummary Worker Organisation WorkerStats",
    ),
    Page(
        "agents",
        "Objects for agents",
        "Memory in the prompt, the trace of a run, and converters of frameworks' messages.",
        "MemoryContext Conversation interactions_from TraceContext TraceResult reflect_trace LearningReport "
        "from_agent_framework from_google_adk from_langchain from_openai_agents from_pydantic_ai",
    ),
    Page(
        "events",
        "Events, hooks and clocks",
        "A hook is an option of the client: a function that is called with an event. Its errors are logged, "
        "not raised. Events hold no texts of users and no credentials.",
        "RequestEvent RetryEvent BackgroundErrorEvent ServerQuirkWarning Clock SystemClock",
    ),
    Page(
        "errors",
        "Errors",
        docstring(errors).text,
        " ".join(name for name, value in vars(errors).items() if _is_error(value)),
    ),
    Page(
        "testing",
        "Testing",
        "What tests need imports from `reflexio_async.testing`. "
        "[Test your own code](../../how-to/testing.md) has the fixtures of pytest and a script of faults.",
        "Sandbox VirtualClock SandboxThread ReflectSettings Record NotStored RealServer NotInstallable "
        "NoPython AdapterConformance Faults Fault Action",
    ),
)
INTERNAL = {
    "BackgroundCall": "wait_in_call",
    "Batch": "start_nothing_more",
    "Fault": "strikes",
    "Faults": "intercept",
    "Job": "check_start result_within wait_in_call",
    "JobStatus": "redacted",
    "Outbox": "add busy deliver leave_loop left_for look_at organisation running_tokens stored take_over "
    "unanswered_starts wake",
    "OutboxCall": "end",
    "ReflectSettings": "failing seconds_of",
    "Sandbox": "restart_soon",
    "VirtualClock": "released",
}
"""For each class the public names that only the package uses."""
_PLACES = (reflexio_async, outbox, rows, worker, testing, conformance)
"""The modules in which the objects are found."""


def page(about: Page) -> str:
    """A page about objects."""
    things = [
        next(getattr(place, name) for place in _PLACES if hasattr(place, name))
        for name in about.names.split()
    ]
    return "\n\n".join([f"# {about.title}", about.about, *map(section, things)])


def section(thing: Any, *, methods: bool = True) -> str:
    """The section about a class, with or without its methods, or about a function."""
    name: str = thing.__name__
    if not inspect.isclass(thing):
        return function(thing, name, "##")
    about = docstring(thing)
    parts = [f"## `{name}`", about.text]
    if issubclass(thing, Enum):
        return "\n\n".join([*parts, members(thing)])
    if "Args" in about.sections and name != "Outbox":  # which only a client makes
        parts += [signature("", name, thing), arguments(thing)]
    if not methods:
        return "\n\n".join(parts)
    parts.append(attributes(thing))
    for member in _methods(thing):
        value = getattr(thing, member)
        # A method of a clock may be a builtin, of which nothing is known; the protocol has it too.
        if not isinstance(value, property) and not inspect.isbuiltin(value):
            parts.append(function(value, f"{name}.{member}", "###"))
    return "\n\n".join(part for part in parts if part)


def members(kind: type[Enum]) -> str:
    """The table of the members of an enumeration."""
    return table(("name", "value"), [(code(member.name), code(repr(member.value))) for member in kind])


def function(value: Any, name: str, level: str) -> str:
    """The section about a function or method."""
    about = docstring(value)
    owner, dot, method = name.partition(".")
    called = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", owner).lower() + dot + method if dot else name
    is_explained = "Args" in about.sections
    parts = [
        f"{level} `{name}`",
        signature("", called, value, typed=not is_explained),
        about.text,
        arguments(value) if is_explained else "",
        raises(about),
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
                if not name.startswith(("_", "test_"))
                and name not in INTERNAL.get(parent.__name__, "").split()
                and (callable(value) or isinstance(value, property | classmethod | staticmethod))
            }
    return list(names)


def attributes(kind: type) -> str:
    """The table of the attributes and properties of ``kind``."""
    about, defaults = docstring(kind), _defaults(kind)
    hints = {name: hint for parent in kind.__mro__ for name, hint in inspect.get_annotations(parent).items()}
    arguments = about.sections.get("Args", {})
    rows = {
        name: (code(type_text(hints.get(name, ""))), defaults.get(name, ""), about.about(name))
        for name in [*about.sections.get("Attributes", {}), *defaults]
        if name not in arguments
    }
    for name in _methods(kind):
        value = getattr(kind, name)
        if isinstance(value, property):
            returns = inspect.signature(value.fget).return_annotation  # type: ignore[arg-type]
            rows[name] = (code(type_text(returns)), "", " ".join(docstring(value).text.split()))
    headings = ("attribute", "type", "default", "meaning")
    return table(headings, [(code(name), *row) for name, row in rows.items()])


def _defaults(kind: Any) -> dict[str, str]:
    """The public fields of a dataclass or named tuple with their defaults."""
    found: dict[str, Any] = {}
    if dataclasses.is_dataclass(kind):
        for field in dataclasses.fields(kind):
            if field.init:
                factory = field.default_factory
                found[field.name] = field.default if factory is MISSING else factory()
    elif hasattr(kind, "_field_defaults"):
        found = dict.fromkeys(kind._fields, MISSING) | kind._field_defaults
    return {
        name: "" if value is MISSING else code(value_text(value))
        for name, value in found.items()
        if not name.startswith("_")
    }


def faults_text() -> str:
    """The section about scripted faults."""
    table_rows = [
        (
            code(name),
            ", ".join(map(code, action.parameters)),
            " ".join(docstring(action.make).summary.split()),
        )
        for name, action in ACTIONS.items()
    ]
    return "\n\n".join(
        [
            "## Scripted faults",
            docstring(faults).text,
            table(("action", "beside it", "what happens"), table_rows),
            *(function(getattr(faults, name), f"faults.{name}", "###") for name in sorted(ACTIONS)),
        ]
    )
