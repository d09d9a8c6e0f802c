"""The reference is whole: whatever the code has, it explains."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import reflexio_async
from reflexio_async import (
    AsyncReflectClient,
    AsyncReflexioClient,
    ClientOptions,
    SessionScopedClient,
    errors,
    pytest_plugin,
    testing,
    worker,
)
from reflexio_async._engine.settings import Settings, ViewOptions
from reflexio_async.legacy.api import LegacyAPI
from reflexio_async.reflect.jobs import REVIEWED, STORED
from reflexio_async.reflexio.jobs import POLLED_KINDS, SLOT_KINDS
from reflexio_async.sandbox.fault_config import ACTIONS
from sitegen import models
from sitegen.calls import LEGACY, REFLECT, REFLEXIO, SESSION
from sitegen.command_line import commands
from sitegen.markdown import anchors, docstring, headings, parse, prose, table, type_text
from sitegen.pages import reference_pages

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "reflexio_async"
PAGES = reference_pages()
ENVIRONMENT = (ROOT / "docs/reference/environment.md").read_text("utf-8")
OWNERS: dict[type, list[str]] = {
    AsyncReflexioClient: [f"{noun.page}.md" for noun in REFLEXIO],
    AsyncReflectClient: [f"{noun.page}.md" for noun in REFLECT],
    LegacyAPI: [f"{LEGACY.page}.md"],
    SessionScopedClient: [f"{SESSION.page}.md"],
}
"""For each client the pages on which its calls stand."""


def sections(places: list[str]) -> dict[str, str]:
    """The sections of these pages: for each heading the text below it."""
    found: dict[str, str] = {}
    for place in places:
        parts = re.split(r"^#+ (.+)$", PAGES[place], flags=re.MULTILINE)
        found |= dict(zip(parts[1::2], parts[2::2], strict=True))
    return found


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in ``text``, without their headings: for each its cells."""
    lines = [line.strip("|") for line in text.splitlines() if line.startswith("| ")]
    return [
        [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)]
        for line in lines
        if "`" in line
    ]


def public(owner: type) -> set[str]:
    """The public names of a class, without the twins ``*_async`` that are the same call."""
    names = {name for name in dir(owner) if not name.startswith("_")}
    return names - {f"{name}_async" for name in names}


CALLS = [(owner, name) for owner in OWNERS for name in sorted(public(owner))]


@pytest.mark.parametrize(("owner", "name"), CALLS, ids=lambda value: getattr(value, "__name__", value))
def test_a_call_has_text_and_every_argument_a_meaning(owner: type, name: str) -> None:
    section = sections(OWNERS[owner])[f"`{name}`"]
    assert re.search(r"^[A-Z`].+\.", section, re.MULTILINE), "it has no sentence"
    member = getattr(owner, name)
    if not isinstance(member, property):
        explained = {row[0].strip("`") for row in rows(section) if len(row) > 2 and row[-1]}
        assert set(inspect.signature(member).parameters) - {"self"} <= explained


def test_a_call_says_what_it_sends_how_often_and_whether_twice() -> None:
    section = sections(OWNERS[AsyncReflexioClient])["`rerun_profile_generation`"]
    assert "Sends `POST /api/rerun_profile_generation`, at most 5 times a minute." in section
    assert "When the answer is lost: not sent again; the client asks for the status" in section
    assert "Returns [`Job[RerunProfileGenerationResponse]`](../jobs.md#job)." in section


@pytest.mark.parametrize("place", ["reflexio/index.md", "reflect/index.md"])
def test_the_table_of_calls_names_every_call(place: str) -> None:
    owner = AsyncReflexioClient if place.startswith("reflexio") else AsyncReflectClient
    assert {f"`{name}`" for name in public(owner)} <= set(re.findall(r"\[(`\w+`)\]", PAGES[place]))


@pytest.mark.parametrize("client", [AsyncReflexioClient, AsyncReflectClient])
def test_every_argument_of_a_client_is_explained(client: type) -> None:
    explained = {row[0] for row in rows(sections(["options.md"])[f"`{client.__name__}`"]) if row[-1]}
    assert {f"`{name}`" for name in inspect.signature(client).parameters} == explained


def test_every_option_is_explained_with_its_default() -> None:
    explained = rows(sections(["options.md"])["`ClientOptions`"])
    assert {row[0].strip("`") for row in explained if row[-1]} == {*ClientOptions.__annotations__}
    assert all(row[2] for row in explained)


def test_every_option_of_a_view_is_named() -> None:
    named = set(re.findall(r"`(\w+)`", sections(["options.md"])["Options of a view"]))
    assert named >= ViewOptions.__optional_keys__


@pytest.mark.parametrize("name", sorted(ClientOptions.__annotations__))
def test_the_default_in_words_is_the_default(name: str) -> None:
    meaning = docstring(ClientOptions).about(name)
    if stated := re.search(r"[Tt]he default is (\d+)(?: (MiB|days))?", meaning):
        default: Any = getattr(Settings("http://localhost"), name)
        unit = {"MiB": 2**20, "days": 86400}.get(stated[2], 1)
        seconds = default.total_seconds() if hasattr(default, "total_seconds") else default
        assert int(stated[1]) * unit == seconds


def test_every_kind_of_job_has_its_defaults_of_waiting() -> None:
    stated = {
        row[0].strip("`"): row[1:] for row in rows(sections(["options.md"])["Defaults of waiting for jobs"])
    }
    assert stated.keys() >= SLOT_KINDS.keys() | POLLED_KINDS.keys() | {STORED, REVIEWED}
    assert stated["profile_rerun"] == ["1", "600"]
    assert stated["aggregation"] == ["5", "3600"]
    assert stated[REVIEWED] == ["0.25", "60"]


def test_every_environment_variable_of_the_package_is_explained_and_no_other() -> None:
    in_code = re.compile(r'(?:environ\.get\(|envvar=|variable=)"([A-Z_]+)"')
    read = {name for file in PACKAGE.rglob("*.py") for name in in_code.findall(file.read_text("utf-8"))}
    assert set(re.findall(r"`((?:REFLEXIO|REFLECT|XDG)_[A-Z_]+)`", ENVIRONMENT)) == read


def test_every_command_is_explained_with_every_option() -> None:
    text = sections(["cli.md"])
    for name, command in commands():
        section = text[f"`{name}`"]
        assert re.search(r"^[A-Z].+\.", section, re.MULTILINE), name
        lines = re.findall(r"^\* `(.+?)`: \S", section, re.MULTILINE)
        explained = {option for line in lines for option in re.split(r",? ", line)}
        wanted = {
            option
            for param in command.params
            for option in (param.opts if param.param_type_name == "option" else [param.metavar])
        }
        assert wanted <= explained, name


def error_classes(kind: type[errors.ReflexioError] = errors.ReflexioError) -> list[str]:
    """The names of ``kind`` and of the errors of the package below it, in the order of the tree."""
    below = [sub for sub in kind.__subclasses__() if sub.__module__ == errors.__name__]
    return [kind.__name__, *(name for sub in below for name in error_classes(sub))]


def test_every_error_is_explained_with_what_to_do() -> None:
    text = sections(["errors.md"])
    assert [name for name in error_classes()[1:] if "What to do: " not in text[f"`{name}`"]] == []


def test_the_tree_of_errors_is_the_tree_of_classes() -> None:
    tree = PAGES["errors.md"].partition("```text\n")[2].partition("```")[0]
    assert re.findall(r"^[│├└─ ]*(\w+) ?", tree, re.MULTILINE) == error_classes()


def test_every_model_is_explained() -> None:
    known = {heading.strip("`") for text in PAGES.values() for heading in headings(text)}
    assert known >= {*models.SERVICES, *models.JANUARY} - {"Status"} | {"Status"}


def test_every_name_of_the_package_is_in_the_reference() -> None:
    known = {heading.strip("`") for text in PAGES.values() for heading in headings(text)}
    clients = {"AsyncReflexioClient", "AsyncReflectClient", "SessionScopedClient"}
    assert {*reflexio_async.__all__} - {"__version__"} - clients <= known
    assert {*testing.__all__} - {"faults", "Dialect"} <= known
    assert {*worker.__all__} - {"LANES"} <= known


def test_every_fault_is_explained_with_what_stands_beside_it() -> None:
    explained = {row[0].strip("`"): row for row in rows(sections(["testing.md"])["Scripted faults"])}
    assert explained.keys() == ACTIONS.keys()
    for name, action in ACTIONS.items():
        assert re.findall(r"`(\w+)`", explained[name][1]) == list(action.parameters)


def test_every_fixture_is_explained() -> None:
    fixtures = re.findall(
        r"^@pytest.fixture\ndef (\w+)", Path(pytest_plugin.__file__).read_text("utf-8"), re.MULTILINE
    )
    page = (ROOT / "docs/how-to/testing.md").read_text("utf-8")
    table = page.partition("## Fixtures\n")[2].partition("\n\n-")[0]
    assert sorted(re.findall(r"`(reflexio_\w+|reflect_\w+)`", table)) == sorted(fixtures)


@pytest.mark.parametrize("place", sorted(PAGES))
def test_no_two_headings_of_a_page_have_the_same_anchor(place: str) -> None:
    named = anchors(PAGES[place])
    assert sorted(named) == sorted(set(named))


@pytest.mark.parametrize("place", sorted(PAGES))
def test_a_page_shows_no_object_as_python_prints_it(place: str) -> None:
    assert not re.search(r"<\w+ \w+|ForwardRef| at 0x|<factory>", PAGES[place])


def test_a_docstring_is_taken_apart() -> None:
    about = parse(
        "Do it.\n\nArgs:\n    a: The ``first``\n        one.\n    **b: Others.\n\nRaises:\n    E: No."
    )
    assert about.text == "Do it."
    assert about.sections == {
        "Args": {"a": "The `first` one.", "b": "Others."},
        "Raises": {"E": "No."},
    }


def test_an_indented_block_of_a_docstring_is_code() -> None:
    assert prose("Use it::\n\n    x = ``1``\n\nEnd.") == "Use it:\n\n```python\nx = 1\n```\n\nEnd."


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int | None, "int | None"),
        (list[str], "list[str]"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        ("Job[int]", "Job[int]"),
    ],
)
def test_a_type_is_written_as_in_code(kind: Any, text: str) -> None:
    assert type_text(kind) == text


def test_a_column_in_which_nothing_stands_is_left_out() -> None:
    assert table(("a", "b"), [("x|y", "")]) == "| a |\n| - |\n| x\\|y |"
