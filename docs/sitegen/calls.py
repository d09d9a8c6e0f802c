"""The pages of the clients' calls: one for each noun, with the models that its calls take and return."""

from __future__ import annotations

import inspect
from importlib import import_module
from inspect import Parameter
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from reflexio_async import AsyncReflectClient, AsyncReflexioClient, SessionScopedClient
from reflexio_async._engine.models import Polling
from reflexio_async.legacy.api import LegacyAPI
from sitegen.markdown import Docstring, code, default_of, docstring, table, type_text, value_text
from sitegen.meanings import LIKE, MEANINGS
from tests.calls import Call, calls

if TYPE_CHECKING:
    from collections.abc import Iterator


TITLES = {
    "legacy": "January's calls",
    "reflect/calls": "Traces, memories and keys",
    "reflect/client": "The Reflect client",
    "reflexio/client": "The Reflexio client",
    "reflexio/config": "Configuration",
    "reflexio/identity": "The server",
    "reflexio/playbooks": "User playbooks",
}
"""The titles of pages whose file has another name."""


class Noun(NamedTuple):
    """One page: the modules that its calls and models come from, below ``reflexio_async``."""

    page: str
    modules: tuple[str, ...]
    """The modules of the calls. The docstring of the first one says what the page is about."""
    models: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The title of the page."""
        return TITLES.get(self.page) or self.page.split("/")[-1].replace("_", " ").capitalize()

    @property
    def about(self) -> str:
        """What stands below the title."""
        return docstring(import_module(f"reflexio_async.{self.modules[0]}")).summary


def _noun(name: str, *more: str) -> Noun:
    """The page of a noun of Reflexio and of ``more`` nouns. Its modules have these names."""
    names = (name, *more)
    modules = tuple(f"reflexio.api.{found}" for found in names)
    models = (f"reflexio.models.{found}{part}" for found in names for part in ("", "_overview", "_storage"))
    return Noun(f"reflexio/{name}", modules, tuple(models))


REFLEXIO = (
    Noun("reflexio/client", ("client", "_engine.base_client")),
    Noun("reflexio/memory", ("memory.api",)),
    _noun("interactions", "outbox"),
    *map(_noun, ("batches", "sessions", "profiles", "playbooks", "agent_playbooks", "aggregation")),
    _noun("search", "provenance"),
    *map(_noun, ("evaluation", "experiments", "pending_tool_calls")),
    _noun("operations", "intents"),
    _noun("config"),
    _noun("identity", "dashboard"),
    _noun("braintrust"),
    Noun("reflexio/enums", ("reflexio.models.enums",), ("reflexio.models.enums", "reflexio.models.literals")),
)
REFLECT = (
    Noun("reflect/client", ("reflect.client", "_engine.base_client")),
    Noun("reflect/tracing", ("reflect.tracing",)),
    Noun(
        "reflect/calls",
        ("reflect.api", "reflect.outbox", "reflect.batches"),
        tuple(f"reflect.models.{name}" for name in ("traces", "memories", "projects", "common")),
    ),
)
LEGACY = Noun(
    "legacy",
    ("legacy.api", "legacy.feedback", "reflexio.api.interactions", "reflexio.api.profiles"),
    ("legacy.models", "legacy.feedback_models", "legacy.config_models"),
)
SESSION = Noun("reflexio/session", ("reflexio.api.session_scoped",))


class Owner:
    """A client, or a part of one, and how its calls are written."""

    def __init__(self, kind: type, prefix: str, like: Owner | None = None) -> None:
        self.kind = kind
        self.prefix = prefix
        self.calls = calls(kind)
        self.like = like or self
        """The client whose calls of the same name explain their arguments."""
        public = [name for name in dir(kind) if not name.startswith("_")]
        self.names = [name for name in public if not self._is_alias(name)]
        """Its public names, without the aliases ``*_async``."""

    def _is_alias(self, name: str) -> bool:
        return name.endswith("_async") and hasattr(self.kind, name.removesuffix("_async"))

    def of(self, noun: Noun) -> list[str]:
        """Its public names that belong to ``noun``."""
        modules = {f"reflexio_async.{name}" for name in noun.modules}
        return [name for name in self.names if self._defining(name).__module__ in modules]

    def _defining(self, name: str) -> type:
        return next(parent for parent in self.kind.__mro__ if name in vars(parent))

    def text(self, name: str) -> str:
        """The section about one of its names."""
        value = getattr(self.kind, name)
        about = docstring(value)
        head = f"### `{name}`"
        if isinstance(value, property):
            returns = inspect.signature(value.fget).return_annotation  # type: ignore[arg-type]
            use = f"{self.prefix}.{name}  # {type_text(returns)}"
            return f"{head}\n\n```python\n{use}\n```\n\n{about.text}"
        call = self.calls.get(name)
        like = getattr(self.like.kind, LIKE.get(name, name), None)
        parts = [
            head,
            signature(self.prefix, name, value),
            about.text,
            _notes(call) if call else "",
            arguments(value, call, like),
            raises(about),
            f"`{name}_async` is the same call." if hasattr(self.kind, f"{name}_async") else "",
        ]
        return "\n\n".join(part for part in parts if part)


CLIENT = Owner(AsyncReflexioClient, "client")
REFLECT_CLIENT = Owner(AsyncReflectClient, "client.reflect")
LEGACY_CALLS = Owner(LegacyAPI, "client.legacy")
SESSION_CLIENT = Owner(SessionScopedClient, "session", like=CLIENT)


_STARS: dict[Any, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


def raises(about: Docstring) -> str:
    """The list of the errors that a docstring names."""
    errors = about.sections.get("Raises", {})
    return "\n".join(f"- **Raises** `{error}`: {when}" for error, when in errors.items())


def signature(prefix: str, name: str, function: Any, *, typed: bool = False) -> str:
    """How a function is called, as a block of code, with or without the types of its arguments."""
    given: list[str] = []
    for parameter in parameters(function):
        star = _STARS.get(parameter.kind, "")
        if parameter.kind is parameter.KEYWORD_ONLY and not any(text.startswith("*") for text in given):
            given.append("*")
        kind = f": {type_text(parameter.annotation)}" if typed else ""
        equals = " = " if typed else "="
        default = "" if parameter.default is parameter.empty else f"{equals}{value_text(parameter.default)}"
        given.append(f"{star}{parameter.name}{kind}{default}")
    called = f"{prefix}.{name}" if prefix else name
    if inspect.iscoroutinefunction(function):
        called = f"await {called}"
    annotation = inspect.signature(function).return_annotation
    is_named = annotation is not inspect.Signature.empty and not inspect.isclass(function)
    returns = f" -> {type_text(annotation)}" if is_named else ""
    line = f"{called}({', '.join(given)}){returns}"
    if len(line) > 88:  # as wide as a page
        line = f"{called}(\n" + "".join(f"    {argument},\n" for argument in given) + f"){returns}"
    return f"```python\n{line}\n```"


def parameters(function: Any) -> list[Parameter]:
    """The parameters of a function or class, without ``self``."""
    given = inspect.signature(function).parameters
    return [parameter for name, parameter in given.items() if name not in ("self", "cls")]


def arguments(function: Any, call: Call | None = None, like: Any = None) -> str:
    """The table of a function's arguments. ``like`` is a function that explains some of them."""
    about, elsewhere = docstring(function), docstring(like)
    fields = {} if call is None else {**Polling.model_fields, **call.request.model_fields}
    rows: list[tuple[str, str, str, str]] = []
    for parameter in parameters(function):
        name = parameter.name
        field = fields.get(name)
        meaning = about.about(name) or (field and field.description) or elsewhere.about(name)
        if like and not meaning:
            meaning = MEANINGS.get(name, "")
        kind = "" if parameter.annotation is parameter.empty else type_text(parameter.annotation)
        if parameter.default is ... and field:  # the request has the default
            default = default_of(field)
        elif parameter.default is parameter.empty:
            default = "" if parameter.kind is parameter.VAR_KEYWORD else "required"
        else:
            default = code(value_text(parameter.default))
        rows.append((code(name), code(kind), default, meaning.replace("``", "`")))
    return table(("argument", "type", "default", "meaning"), rows)


_LOST_ANSWERS = {
    "the server is asked for its `request_id`; what is not stored is sent again": (
        "publish_interaction publish_later"
    ),
    "not sent again; the outbox sets it aside, with the reason": "create_trace_later",
    "not sent again; the client asks for the status, whether the job has begun": (
        "manual_playbook_generation manual_profile_generation "
        "rerun_feedback_generation rerun_playbook_generation rerun_profile_generation"
    ),
    "sent again, unless it has a `session_id`: a second try would skip results": (
        "search search_agent_playbooks search_profiles search_user_playbooks search_user_profiles"
    ),
    "sent again with the same `request_id`, which the server starts once": "submit_playbook_aggregation",
}
SENT_TWICE = {name: text for text, names in _LOST_ANSWERS.items() for name in names.split()}
"""What happens after a lost answer, by call, where the endpoint alone does not say it."""


def _notes(call: Call) -> str:
    """What is sent, how often, whether it is repeated, and what the call takes and returns."""
    endpoint = call.endpoint
    limit = f", at most {endpoint.per_minute} times a minute" if endpoint.per_minute else ""
    public = ". It needs no key" if endpoint.public else ""
    notes = [
        f"Sends `{endpoint.method} {endpoint.path}`{limit}{public}.",
        f"When the answer is lost: {_lost_answer(call)}.",
    ]
    if endpoint.deadline:
        notes.append(
            f"The server may work on it for {endpoint.deadline:g} s; the call's timeout is at least that."
        )
    returns = type_text(inspect.signature(call.function).return_annotation)
    if returns != "None":
        notes.append(f"Returns `{returns}`.")
    if call.takes_request:
        notes.append(f"In place of keywords it takes one `{call.request.__name__}`, or a mapping.")
    given = inspect.signature(call.function).parameters
    if "wait_for_response" in given and call.name != "publish_interaction":
        kinds = sorted(code(type_text(kind)) for kind in call.results if not get_args(kind))
        notes.append(f"With `wait_for_response=True` it returns {' or '.join(kinds)} instead of the handle.")
    return "\n".join(f"- {note}" for note in notes)


def _lost_answer(call: Call) -> str:
    """What the client does when it does not know whether the request was carried out."""
    is_january = ".legacy." in call.function.__module__
    if call.name in SENT_TWICE and (not is_january or call.name.startswith("rerun_")):
        return SENT_TWICE[call.name]
    if call.endpoint.may_repeat:
        return "sent again"
    return "not sent again; the error has `outcome_unknown=True`"


def noun_page(noun: Noun, owner: Owner, models: str) -> str:
    """The page of a noun."""
    parts = [f"# {noun.title}", noun.about]
    if names := owner.of(noun):
        parts += ["## Calls", *map(owner.text, names)]
    if models:
        parts += ["## Models", models]
    return "\n\n".join(parts)


def index_rows(nouns: tuple[Noun, ...], owner: Owner) -> Iterator[tuple[str, str]]:
    """For each noun with calls a link to its page, and links to its calls."""
    for noun in nouns:
        page = f"{noun.page.split('/')[-1]}.md"
        if links := ", ".join(f"[`{name}`]({page}#{name})" for name in owner.of(noun)):
            yield f"[{noun.title}]({page})", links
