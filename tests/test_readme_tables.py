"""The tables of the README are whole and true: calls, options and their defaults, January's calls, faults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from reflexio_async import AsyncReflectClient, AsyncReflexioClient
from reflexio_async._engine.settings import ClientOptions, Settings, ViewOptions
from reflexio_async.legacy.api import LegacyAPI
from reflexio_async.sandbox.faults.config import ACTIONS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
DEPRECATED = {"search_profiles"}
OF_REFLECT_CLIENT_TOO = {"aclose", "base_url", "store", "with_options"}


def rows(heading: str) -> list[list[str]]:
    """The rows of the table whose first line begins with ``heading``: for each the text of its cells."""
    lines = README[README.index(f"\n| {heading}") + 1 :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def names(cell: str) -> list[str]:
    """The names in a cell, without their arguments."""
    return re.findall(r"`(\w+)(?:\([^`]*\))?`", cell)


def public(owner: type) -> set[str]:
    """The public names of a class, without the twins ``*_async``."""
    return {name for name in dir(owner) if not name.startswith("_") and not name.endswith("_async")}


CALLS = {about: names(calls) for about, calls in rows("about | calls")}
REFLECT = CALLS.pop("`client.reflect`")
OPTIONS = {name: default for given, default, _ in rows("argument of") for name in names(given)}


def test_the_table_names_every_call_of_the_client_once() -> None:
    listed = [name for calls in CALLS.values() for name in calls]
    assert sorted(listed) == sorted(public(AsyncReflexioClient) - DEPRECATED)


def test_the_table_names_every_call_of_reflect_once() -> None:
    assert sorted(REFLECT) == sorted(public(AsyncReflectClient) - OF_REFLECT_CLIENT_TOO)


def test_the_table_of_january_names_every_call_once() -> None:
    listed = [name for _, calls in rows("January's calls") for name in names(calls)]
    assert sorted(listed) == sorted(public(LegacyAPI))


def test_the_table_of_options_names_every_option_once() -> None:
    own = {"api_key", "url_endpoint", "timeout", "reflect_url", "reflect_api_key", "project_id"}
    assert OPTIONS.keys() == own | ClientOptions.__optional_keys__ | ViewOptions.__optional_keys__


@pytest.mark.parametrize("name", [name for name in OPTIONS if re.match(r"[`\d]", OPTIONS[name])])
def test_the_table_of_options_states_the_default(name: str) -> None:
    default: Any = getattr(Settings("http://localhost"), name, None)
    stated = OPTIONS[name].partition(" (")[0].strip("`")
    match default:
        case None:  # read from the environment, or the job's
            assert stated.startswith(("REFLE", "600"))
        case bool():
            assert stated == str(default)
        case int() | float():
            number, _, unit = stated.partition(" ")
            assert float(number) * (2**20 if unit == "MiB" else 1) == default
        case str():
            assert default.startswith(stated.removesuffix("…"))
        case _:
            assert eval(stated, {type(default).__name__: type(default)}) == default  # noqa: S307  # the README's text


def test_the_table_of_faults_names_every_action_once() -> None:
    listed = [name for actions, _, _ in rows("action | what happens") for name in names(actions)]
    assert sorted(listed) == sorted(ACTIONS)


@pytest.mark.parametrize(("actions", "_", "beside"), rows("action | what happens"))
def test_the_table_of_faults_names_what_stands_beside_an_action(actions: str, _: str, beside: str) -> None:
    fields = {field for action in names(actions) for field in ACTIONS[action].parameters}
    assert set(names(beside)) == fields
