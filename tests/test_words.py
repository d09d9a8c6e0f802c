"""Code and pages use standard words: those that once were names of its own do not come back."""

from __future__ import annotations

import re
import tokenize
from pathlib import Path

import pytest

import reflexio_async

PACKAGE = Path(reflexio_async.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
INSTEAD_OF = {
    "agenda": "queue",
    "desk": "manager",
    "door": "handler",
    "gate": "rate limiter",
    "gates": "rate limiters",
    "glance": "status",
    "hears": "is called with",
    "late": "loaded on first use",
    "living": "client",
    "patience": "timeout",
    "rhythm": "poll interval",
    "singles": "polled jobs",
    "stranger": "other client",
    "ticket": "permit",
    "tickets": "permits",
    "told": "asked, or named",
    "vias": "decorators",
    "whoever": "the caller that",
}
"""Words that only readers of an older release know, and standard words for them."""


def words(text: str) -> set[str]:
    """The words of a name, a comment or a string. ``JobDesk`` and ``job_desk`` have two."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text)}


@pytest.mark.parametrize(
    ("text", "expected"), [("JobDesk", {"job", "desk"}), ("_late", {"late"}), ("# A gate.", {"a", "gate"})]
)
def test_a_text_is_split_into_its_words(text: str, expected: set[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_has_no_words_of_an_older_release(path: Path) -> None:
    with path.open("rb") as file:
        found = [
            f"line {token.start[0]}: {word}: write {INSTEAD_OF[word]!r}"
            for token in tokenize.tokenize(file.readline)
            for word in words(token.string) & INSTEAD_OF.keys()
        ]
    assert found == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_has_no_words_of_an_older_release(path: Path) -> None:
    found = [
        f"line {number}: {word}: write {INSTEAD_OF[word]!r}"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for word in words(line) & INSTEAD_OF.keys() - {"late"}  # in a text a common word
    ]
    assert found == []
