"""The pages of the clients' calls: one for each noun, with the models that its calls take and return."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from reflexio_async import AsyncReflectClient, AsyncReflexioClient, SessionScopedClient
from reflexio_async._engine.models import Polling
from reflexio_async.legacy.api import LegacyAPI
from sitegen.markdown import code, default_of, docstring, table, type_text, value_text
from sitegen.meanings import LIKE, MEANINGS
from tests.calls import Call, calls

if TYPE_CHECKING:
    from collections.abc import Iterator


class Noun(NamedTuple):
    """One page: which modules its calls and models come from."""

    page: str
    title: str
    about: str
    modules: tuple[str, ...]
    """The modules that define the calls, below ``reflexio_async``."""
    models: tuple[str, ...] = ()
    """The modules of the models, below ``reflexio_async``."""


def _noun(page: str, title: str, about: str, *more: str) -> Noun:
    names = (page, *more)
    modules = tuple(f"reflexio.api.{name}" for name in names)
    return Noun(f"reflexio/{page}", title, about, modules, tuple(f"reflexio.models.{name}" for name in names))


REFLEXIO = (
    Noun(
        "reflexio/client",
        "The Reflexio client",
        "Signing in, views, jobs by their token, and closing.",
        ("client", "_engine.base_client"),
    ),
    Noun(
        "reflexio/memory",
        "Memory for an agent",
        "What is known goes into the prompt of an agent, and what was said is published.",
        ("memory.api",),
    ),
    _noun("interactions", "Interactions", "Turns of a conversation: published, found, deleted.", "outbox"),
    _noun("batches", "Batches", "Many reruns or publishes at once, each with an outcome of its own."),
    _noun("sessions", "Sessions", "Conversations, and how they ended."),
    _noun("profiles", "Profiles", "Facts about users."),
    _noun("playbooks", "User playbooks", "Lessons for the agent that were learned from single users."),
    _noun("agent_playbooks", "Agent playbooks", "Lessons for the agent, from all users."),
    _noun("aggregation", "Aggregation", "Makes agent playbooks of user playbooks."),
    _noun("search", "Search and provenance", "Everything at once, and where it came from.", "provenance"),
    Noun(
        "reflexio/evaluation",
        "Evaluation",
        "Judgements of sessions and of what was learned.",
        ("reflexio.api.evaluation",),
        ("reflexio.models.evaluation", "reflexio.models.evaluation_overview"),
    ),
    _noun("experiments", "Experiments", "Does memory help? Some users get none, and both are compared."),
    _noun("pending_tool_calls", "Pending tool calls", "Questions that the server has for a person."),
    _noun(
        "operations",
        "Operations and intents",
        "What runs at the server, and starting it exactly once.",
        "intents",
    ),
    Noun(
        "reflexio/config",
        "Configuration",
        "How the server learns, and where it stores.",
        ("reflexio.api.config",),
        ("reflexio.models.config", "reflexio.models.config_storage"),
    ),
    _noun(
        "identity",
        "The server",
        "Its health and version, whose key it is, and whether it learns.",
        "dashboard",
    ),
    _noun("braintrust", "Braintrust", "The connection of an organisation to Braintrust."),
    Noun(
        "reflexio/words",
        "Words with fixed values",
        "Enumerations that several models use. A value that this release does not know is accepted as text.",
        (),
        ("reflexio.models.enums", "reflexio.models.literals"),
    ),
)
REFLECT = (
    Noun(
        "reflect/client",
        "The Reflect client",
        "Views, jobs by their token, and the first key.",
        ("reflect.client", "_engine.base_client"),
    ),
    Noun(
        "reflect/tracing",
        "Tracing an agent",
        "Memories before a run, its trace after it.",
        ("reflect.tracing",),
    ),
    Noun(
        "reflect/calls",
        "Traces, memories and keys",
        "One HTTP exchange each.",
        ("reflect.api", "reflect.outbox", "reflect.batches"),
        (
            "reflect.models.traces",
            "reflect.models.memories",
            "reflect.models.projects",
            "reflect.models.common",
        ),
    ),
)
LEGACY = Noun(
    "legacy",
    "January's calls",
    "The API of January 2026, in its own shapes: under `client.legacy`; `login` is on the client.",
    ("legacy.api", "legacy.feedback", "reflexio.api.interactions", "reflexio.api.profiles"),
    ("legacy.models", "legacy.feedback_models", "legacy.config_models"),
)
SESSION = Noun(
    "reflexio/session",
    "One session",
    "`client.for_session(session_id)` is a view with the session filled in. Its calls are the client's.",
    ("reflexio.api.session_scoped",),
)


@dataclass(frozen=True)
class Member:
    """A public name of a client."""

    name: str
    value: Any
    module: str
    """The module that defines it, below ``reflexio_async``."""
    alias: str | None
    """The other name of the same call."""


def members(owner: type) -> dict[str, Member]:
    """The public names of ``owner``. The twins ``*_async`` are left out."""
    found: dict[str, Member] = {}
    names = [name for name in dir(owner) if not name.startswith("_")]
    for name in names:
        if name.removesuffix("_async") in names and name.endswith("_async"):
            continue
        defining = next(parent for parent in owner.__mro__ if name in vars(parent))
        module = defining.__module__.removeprefix("reflexio_async.")
        twin = f"{name}_async"
        found[name] = Member(name, getattr(owner, name), module, twin if twin in names else None)
    return found


class Owner:
    """A client, or a part of one, and how its calls are written."""

    def __init__(self, kind: type, prefix: str, like: Owner | None = None) -> None:
        self.kind = kind
        self.prefix = prefix
        self.members = members(kind)
        self.calls = calls(kind)
        self.like = like or self
        """The client whose calls of the same name explain their arguments."""

    def of(self, noun: Noun) -> list[Member]:
        """Its public names that belong to ``noun``."""
        return [member for member in self.members.values() if member.module in noun.modules]

    def text(self, member: Member, level: str = "###") -> str:
        """The section about one of its names."""
        about = docstring(member.value)
        head = f"{level} `{member.name}`"
        if isinstance(member.value, property):
            returns = inspect.signature(member.value.fget).return_annotation  # type: ignore[arg-type]
            use = f"{self.prefix}.{member.name}  # {type_text(returns)}"
            return f"{head}\n\n```python\n{use}\n```\n\n{about.text}"
        call = self.calls.get(member.name)
        parts = [head, signature(self.prefix, member.name, member.value), about.text, _notes(call)]
        like = self.like.members.get(LIKE.get(member.name, member.name))
        parts.append(arguments(member.value, call, like.value if like else None))
        raises = about.sections.get("Raises", {})
        parts.append("".join(f"- **Raises** `{error}`: {when}\n" for error, when in raises.items()))
        if member.alias:
            parts.append(f"`{member.alias}` is the same call.")
        return "\n\n".join(part.strip() for part in parts if part.strip())


CLIENT = Owner(AsyncReflexioClient, "client")
REFLECT_CLIENT = Owner(AsyncReflectClient, "client.reflect")
LEGACY_CALLS = Owner(LegacyAPI, "client.legacy")
SESSION_CLIENT = Owner(SessionScopedClient, "session", like=CLIENT)


def signature(prefix: str, name: str, function: Any, *, typed: bool = False) -> str:
    """How a function is called, as a block of code, with or without the types of its arguments."""
    given: list[str] = []
    keyword_only = False
    for parameter in parameters(function):
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            given.append("*")
        star = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else star
        keyword_only = keyword_only or star == "*"
        kind = f": {type_text(parameter.annotation)}" if typed else ""
        equals = " = " if typed else "="
        default = "" if parameter.default is parameter.empty else f"{equals}{_default(parameter)}"
        given.append(f"{star}{parameter.name}{kind}{default}")
    before = "await " if inspect.iscoroutinefunction(function) else ""
    called = f"{prefix}.{name}" if prefix else name
    returns = "" if inspect.isclass(function) else _returns(inspect.signature(function).return_annotation)
    line = f"{before}{called}({', '.join(given)}){returns}"
    if len(line) > 88:  # as wide as a page
        line = f"{before}{called}(\n" + "".join(f"    {argument},\n" for argument in given) + f"){returns}"
    return f"```python\n{line}\n```"


def parameters(function: Any) -> list[inspect.Parameter]:
    """The parameters of a function or class, without ``self``."""
    return [
        parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in ("self", "cls")
    ]


def _default(parameter: inspect.Parameter) -> str:
    return "…" if parameter.default is ... else value_text(parameter.default)


def _returns(annotation: Any) -> str:
    return "" if annotation is inspect.Signature.empty else f" -> {type_text(annotation)}"


def arguments(function: Any, call: Call | None = None, like: Any = None) -> str:
    """The table of a function's arguments. ``like`` is a function that explains some of them."""
    about, elsewhere = docstring(function), docstring(like)
    fields = {} if call is None else {**Polling.model_fields, **call.request.model_fields}
    rows: list[tuple[str, str, str, str]] = []
    for parameter in parameters(function):
        name = parameter.name
        meaning = about.about(name)
        if not meaning and name in fields:
            meaning = fields[name].description or ""
        meaning = (meaning or elsewhere.about(name) or (MEANINGS.get(name, "") if like else "")).replace(
            "``", "`"
        )
        kind = "" if parameter.annotation is parameter.empty else type_text(parameter.annotation)
        required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        default = (
            "required"
            if required
            else ""
            if parameter.default is parameter.empty
            else code(_default(parameter))
        )
        if default == code("…") and name in fields:
            default = default_of(fields[name])
        rows.append((code(name), code(kind), default, meaning))
    return table(("argument", "type", "default", "meaning"), rows)


_ASKED_FOR = "the server is asked for its `request_id`; what is not stored is sent again"
_STATUS = "not sent again; the client asks for the status, whether the job has begun"
_UNLESS_SESSION = "sent again, unless it has a `session_id`: a second try would skip results"
SENT_TWICE = {
    "create_trace_later": "not sent again; the outbox sets it aside, with the reason",
    **dict.fromkeys(("publish_interaction", "publish_later"), _ASKED_FOR),
    **dict.fromkeys(
        (
            "manual_playbook_generation",
            "manual_profile_generation",
            "rerun_feedback_generation",
            "rerun_playbook_generation",
            "rerun_profile_generation",
        ),
        _STATUS,
    ),
    **dict.fromkeys(
        (
            "search",
            "search_agent_playbooks",
            "search_profiles",
            "search_user_playbooks",
            "search_user_profiles",
        ),
        _UNLESS_SESSION,
    ),
    "submit_playbook_aggregation": "sent again with the same `request_id`, which the server starts once",
}
"""What happens after a lost answer, where the endpoint alone does not say it."""


def _notes(call: Call | None) -> str:
    """What is sent, how often, whether it is repeated, and what the call takes and returns."""
    if call is None:
        return ""
    endpoint = call.endpoint
    limit = f", at most {endpoint.per_minute} times a minute" if endpoint.per_minute else ""
    public = ". It needs no key" if endpoint.public else ""
    notes = [f"Sends `{endpoint.method} {endpoint.path}`{limit}{public}."]
    notes.append(f"When the answer is lost: {lost_answer(call)}.")
    if endpoint.deadline:
        notes.append(
            f"The server may work on it for {endpoint.deadline:g} s; the call's timeout is at least that."
        )
    returns = type_text(inspect.signature(call.function).return_annotation)
    if returns != "None":
        notes.append(f"Returns `{returns}`.")
    if call.takes_request:
        notes.append(f"In place of keywords it takes one `{call.request.__name__}`, or a mapping.")
    if (
        "wait_for_response" in inspect.signature(call.function).parameters
        and call.name != "publish_interaction"
    ):
        notes.append(f"With `wait_for_response=True` it returns {_result_of(call)} instead of the handle.")
    return "".join(f"- {note}\n" for note in notes)


def lost_answer(call: Call) -> str:
    """What the client does when it does not know whether the request was carried out."""
    is_january = ".legacy." in call.function.__module__
    if call.name in SENT_TWICE and (not is_january or call.name.startswith("rerun_")):
        return SENT_TWICE[call.name]
    if call.endpoint.may_repeat:
        return "sent again"
    return "not sent again; the error has `outcome_unknown=True`"


def _result_of(call: Call) -> str:
    return " or ".join(sorted(code(type_text(kind)) for kind in call.results if get_args(kind) == ()))


def noun_page(noun: Noun, owner: Owner, models: str) -> str:
    """The page of a noun."""
    parts = [f"# {noun.title}", noun.about]
    if found := owner.of(noun):
        parts.append("## Calls")
        parts += [owner.text(member) for member in found]
    if models:
        parts += ["## Models", models]
    return "\n\n".join(parts)


def index_rows(nouns: tuple[Noun, ...], owner: Owner, below: str) -> Iterator[tuple[str, str]]:
    """For each noun with calls a link to its page, and links to its calls."""
    for noun in nouns:
        if names := [member.name for member in owner.of(noun)]:
            page = f"{noun.page.removeprefix(below)}.md"
            yield f"[{noun.title}]({page})", ", ".join(f"[`{name}`]({page}#{name})" for name in names)
