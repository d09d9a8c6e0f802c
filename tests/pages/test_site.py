"""The site is built strictly and offline, and its pages work in a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from sitegen.llms import overview, plain
from sitegen.pages import reference_pages

if TYPE_CHECKING:
    from tests.pages.conftest import Open

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)")
"""What a page loads from elsewhere. A link, which the reader follows, is no such thing."""
IN_STYLES = re.compile(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)")
SHOWN = ["index", "tutorials/first-memory", "reference/api/reflexio/profiles", "reference/api/options"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site. A warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-W",
            "--keep-going",
            "docs",
            folder / "html",
            "-d",
            folder / "doctrees",
        ],
        cwd=ROOT,
        # A proxy that is not there: what is fetched fails.
        env={**os.environ, "HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    assert built.returncode == 0, built.stdout
    return folder / "html"


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = {
        (file.name, address)
        for pattern, look_for in (("*.html", LOADED), ("*.css", IN_STYLES))
        for file in site.rglob(pattern)
        for address in look_for.findall(file.read_text("utf-8"))
    }
    assert loaded == set()


def test_llms_txt_names_every_page(site: Path) -> None:
    named = set(re.findall(r"\]\((\S+)\.md\)", (site / "llms.txt").read_text("utf-8")))
    pages = {file.relative_to(site).with_suffix("").as_posix() for file in site.rglob("*.html")}
    assert all((site / f"{name}.md").is_file() for name in named)
    assert named == {page for page in pages if "/" in page and not page.endswith("/index")}


def test_llms_full_txt_has_the_text_of_every_page(site: Path) -> None:
    full = (site / "llms-full.txt").read_text("utf-8")
    for text in reference_pages().values():
        assert plain(text) in full
    for file in (ROOT / "docs").rglob("*.md"):
        assert plain(file.read_text("utf-8")) in full, file
    assert "{toctree}" not in full


def test_a_page_stands_in_llms_txt_with_its_title_and_first_sentence() -> None:
    page = "# One `title`\n\nIt is [for](x.md) this.\nAnd more.\n"
    line = "- [One `title`](how-to/x.md): It is for this."
    assert line in overview({"how-to/x": page}).splitlines()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("name", SHOWN)
def test_a_page_works_and_is_no_wider_than_the_window(
    site: Path, open_page: Open, name: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    with open_page((site / f"{name}.html").as_uri(), width=width, scheme=scheme) as page:
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name.replace('/', '-')}-{width}-{scheme}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
