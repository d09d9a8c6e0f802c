"""Comments name headings of docs/reference/server-behaviour.md that exist, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sitegen.markdown import anchors, headings, links, without_code
from sitegen.pages import reference_pages

ROOT = Path(__file__).parents[1]
SERVER_BEHAVIOUR = ROOT / "docs/reference/server-behaviour.md"
CONTRIBUTING = ROOT / "docs/contributing.md"
REFERENCE = ROOT / "docs/reference/api"
GENERATED = {REFERENCE / place: text for place, text in reference_pages().items()}
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted({*ROOT.glob("docs/**/*.md"), *GENERATED})]
CODE = [
    file
    for folder in ("reflexio_async", "tests", "benchmarks")
    for file in sorted(ROOT.glob(f"{folder}/**/*.py"))
    if file != Path(__file__)
]


def text_of(document: Path) -> str:
    """The text of a page, also of one that is made from the code."""
    return GENERATED.get(document) or document.read_text("utf-8")


def citations(text: str) -> list[str]:
    """The sections after ``server-behaviour:``, up to a mark other than a comma, or the end of the line."""
    return [
        section
        for found in re.findall(r"server-behaviour: ([\w ,-]+)", text)
        for section in found.rstrip().split(", ")
    ]


def test_a_citation_ends_at_a_mark_or_a_line() -> None:
    code = "# Five a minute (server-behaviour: Admission, Rate limits).\n# See server-behaviour: Status\n"
    assert citations(code) == ["Admission", "Rate limits", "Status"]


def test_every_citation_names_a_heading() -> None:
    known = headings(text_of(SERVER_BEHAVIOUR))
    cited = {
        (file.relative_to(ROOT), section) for file in CODE for section in citations(file.read_text("utf-8"))
    }
    assert {(file, section) for file, section in cited if section not in known} == set()


def test_the_package_has_citations() -> None:
    assert any(citations(file.read_text("utf-8")) for file in CODE)


def test_a_heading_of_server_behaviour_stands_once() -> None:
    known = headings(text_of(SERVER_BEHAVIOUR))
    assert sorted(known) == sorted(set(known))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in links(text_of(document)):
        path, _, fragment = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked in GENERATED or linked.exists(), target
        if fragment:
            assert fragment in anchors(text_of(linked)), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.relative_to(ROOT).as_posix())
def test_every_address_elsewhere_is_well_formed(document: Path) -> None:
    """It is not opened: CI may have no network."""
    for address in re.findall(r"\]\((https?:[^)\s]*)\)", without_code(text_of(document))):
        assert re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/[\w./#?=&%~-]*)?", address), address


def files_named(text: str) -> set[str]:
    """The files and folders that stand in backticks. ``<noun>`` becomes ``*``."""
    code = re.findall(r"`([^`\s]+)`", text)
    path = re.compile(r"\.?[\w<>/.-]+(/|\.(py|md|json|txt|toml))")
    return {re.sub(r"<\w+>", "*", name) for name in code if path.fullmatch(name)}


@pytest.mark.parametrize("name", sorted(files_named(CONTRIBUTING.read_text("utf-8"))))
def test_every_file_that_the_contributing_guide_names_exists(name: str) -> None:
    """Its paths are below the package, or below the root."""
    assert any(next(folder.glob(name), None) for folder in (ROOT, ROOT / "reflexio_async")), name
