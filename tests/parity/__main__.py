"""``python -m tests.parity``: every route, field, signature and request of the official packages beside ours.

With ``--differences`` only what differs. Exits with 1 when a difference has no reason.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from tests.parity import compare, reflect, signatures, wire
from tests.parity.reasons import reason

if TYPE_CHECKING:
    from tests.parity.compare import Comparison


def table() -> list[Comparison]:
    """All of it: the contracts, and the names, signatures and requests of the official packages."""
    return [*compare.table(), *reflect.table(), *signatures.table(), *wire.table()]


def main(arguments: list[str]) -> int:
    """Print the table."""
    unexplained = 0
    lines = dict.fromkeys(table())  # the packages have most of them in common
    for line in lines:
        why = "same" if line.same else reason(line.what)
        if line.same and "--differences" in arguments:
            continue
        unexplained += why is None
        ours = "" if line.same else f" | {line.ours:.100}"
        print(f"{line.what} | {line.theirs:.100}{ours} | {why or 'UNLISTED'}")  # noqa: T201  # its purpose
    differing = sum(not line.same for line in lines)
    print(f"{len(lines)} compared, {differing} differ, {unexplained} without a reason")  # noqa: T201  # too
    return 1 if unexplained else 0


if __name__ == "__main__":
    logging.disable()  # the recording server grants no request
    sys.exit(main(sys.argv[1:]))
