"""``python -m tests.parity``: every route, field and official method beside ours.

With ``--differences`` only what differs. Exits with 1 when a difference has no reason.
"""

from __future__ import annotations

import sys

from tests.parity import compare, reflect
from tests.parity.reasons import reason


def main(arguments: list[str]) -> int:
    """Print the table."""
    unexplained = 0
    table = [*compare.table(), *reflect.table()]
    for line in table:
        why = "same" if line.same else reason(line.what)
        if line.same and "--differences" in arguments:
            continue
        unexplained += why is None
        ours = "" if line.same else f" | {line.ours}"
        print(f"{line.what} | {line.theirs}{ours} | {why or 'UNLISTED'}")  # noqa: T201  # its purpose
    differing = sum(not line.same for line in table)
    print(f"{len(table)} compared, {differing} differ, {unexplained} without a reason")  # noqa: T201  # too
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
