"""``python -m reflexio_async.cli``."""

from __future__ import annotations

from reflexio_async.cli import main

main()
