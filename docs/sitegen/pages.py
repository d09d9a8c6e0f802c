"""All pages of the reference that follow from the code."""

from __future__ import annotations

import re
from functools import cache
from posixpath import dirname, relpath
from typing import TYPE_CHECKING

from sitegen import models, objects
from sitegen.adapters import adapters_page
from sitegen.calls import (
    CLIENT,
    LEGACY,
    LEGACY_CALLS,
    REFLECT,
    REFLECT_CLIENT,
    REFLEXIO,
    SESSION,
    SESSION_CLIENT,
    Noun,
    Owner,
    index_rows,
    noun_page,
)
from sitegen.command_line import command_line_page
from sitegen.markdown import anchors, headings, table, with_links
from sitegen.options import options_page

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERY_CALL = """\
Every call is a coroutine function unless its page shows it without `await`. Every call can raise
`InvalidRequest`, before anything is sent; `APIConnectionError` and `APITimeout`, without an answer;
`APIStatusError`, one class for each status; `UnexpectedResponse`; and `ClientClosed`. Where an answer can say
`success: false`, that is `RequestRefused`. A page says what is special to a call.
See [errors](../errors.md)."""

ARGUMENTS_TOO = ("base_url", "session_id")
"""Properties that are not linked to, as they are more often arguments."""


@cache
def reference_pages() -> Mapping[str, str]:
    """The pages by their place below ``docs/reference/api``."""
    pages = {
        "reflexio/index.md": _index("Calls of Reflexio", (*REFLEXIO, SESSION), CLIENT),
        "reflect/index.md": _index("Calls of Reflect", REFLECT, REFLECT_CLIENT),
        "options.md": options_page(),
        "cli.md": command_line_page(),
        "adapters.md": adapters_page(),
        **{f"{about.page}.md": objects.page(about) for about in objects.PAGES},
    }
    pages["testing.md"] += f"\n\n{objects.faults_text()}"
    for noun in REFLEXIO:
        found = models.of_modules(models.SERVICES, noun.models)
        pages[f"{noun.page}.md"] = noun_page(noun, CLIENT, models.text(found))
    for noun in REFLECT:
        found = models.of_modules(models.SERVICES, noun.models)
        pages[f"{noun.page}.md"] = noun_page(noun, REFLECT_CLIENT, models.text(found))
    pages[f"{SESSION.page}.md"] = noun_page(SESSION, SESSION_CLIENT, "")
    pages[f"{LEGACY.page}.md"] = noun_page(LEGACY, LEGACY_CALLS, models.text(models.JANUARY))
    targets = _targets(pages)
    return {
        place: with_links(text, _from(place, targets, pages)).strip() + "\n" for place, text in pages.items()
    }


def _index(title: str, nouns: tuple[Noun, ...], owner: Owner) -> str:
    names = [noun.page.split("/")[-1] for noun in nouns]
    toctree = "\n".join(["```{toctree}", ":hidden:", "", *names, "```"])
    return "\n\n".join(
        [f"# {title}", EVERY_CALL, table(("about", "calls"), index_rows(nouns, owner)), toctree]
    )


def _targets(pages: Mapping[str, str]) -> dict[str, str]:
    """For each name that has a section of its own: the page and the anchor."""
    found: dict[str, str] = {}
    # Today's names come before January's, and those of Reflexio before those of Reflect.
    for place in sorted(pages, key=lambda place: (place == "legacy.md", place.startswith("reflect/"), place)):
        if place != f"{SESSION.page}.md":
            for name, target in _own_targets(pages[place]).items():
                found.setdefault(name, f"{place}{target}")
    return found


def _own_targets(text: str) -> dict[str, str]:
    """For each name that has a section on a page, the anchor."""
    named = [
        (re.fullmatch(r"`(\w+)`", heading), where)
        for heading, where in zip(headings(text), anchors(text), strict=True)
    ]
    return {name[1]: f"#{where}" for name, where in named if name and name[1] not in ARGUMENTS_TOO}


def _from(place: str, targets: Mapping[str, str], pages: Mapping[str, str]) -> dict[str, str]:
    """``targets`` as links from the page at ``place``. A name of the page itself leads there."""
    found = {name: relpath(target, dirname(place) or ".") for name, target in targets.items()}
    return found | _own_targets(pages[place])
