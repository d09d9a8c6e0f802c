"""``python -m reflexio_async``: the command ``reflexio-async``."""

from __future__ import annotations

from reflexio_async.cli import main

main()
