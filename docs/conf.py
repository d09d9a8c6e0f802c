"""Sphinx makes the site of these pages: ``sphinx-build -W docs build/site``. It needs no network."""

from __future__ import annotations

from reflexio_async import __version__

project = "reflexio_async"
author = "reflexio_async contributors"
project_copyright = author
release = version = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = "reflexio_async"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
