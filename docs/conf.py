"""Sphinx makes the site of these pages: ``sphinx-build -W docs build/site``. It needs no network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reflexio_async import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SOURCE = Path(__file__).parent
sys.path[:0] = [str(SOURCE), str(SOURCE.parent)]  # for sitegen, and for tests.calls

project = "reflexio_async"
author = "reflexio_async contributors"
project_copyright = author
release = version = __version__

extensions = ["myst_parser"]
exclude_patterns = ["sitegen"]
nitpicky = True
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # "…" in an example stands for what is left out

smartquotes = False  # which would make a dash of the two hyphens of an option, such as --url

html_theme = "furo"
html_title = "reflexio_async"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"


def write_reference(_app: Sphinx) -> None:
    """Write the pages that follow from the code. A page that is the same is not built again."""
    from sitegen.pages import reference_pages  # noqa: PLC0415  # sys.path is set above

    folder = SOURCE / "reference/api"
    pages = {folder / place: text for place, text in reference_pages().items()}
    for old in folder.rglob("*.md"):
        if old not in pages:
            old.unlink()
    for file, text in pages.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text("utf-8") != text:
            file.write_text(text, "utf-8")


def write_llms(app: Sphinx, error: Exception | None) -> None:
    """Write ``llms.txt`` and ``llms-full.txt`` beside the start page."""
    from sitegen.llms import write  # noqa: PLC0415  # as above

    if error is None:
        write(SOURCE, Path(app.outdir), app.env.found_docs)


def setup(app: Sphinx) -> None:
    """Sphinx calls this first."""
    app.connect("builder-inited", write_reference)
    app.connect("build-finished", write_llms)
