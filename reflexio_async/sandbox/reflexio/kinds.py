"""What is learnt from a publish."""

from __future__ import annotations

from typing import Final, Literal

Kind = Literal["profile", "playbook"]
KINDS: Final[tuple[Kind, ...]] = ("profile", "playbook")
