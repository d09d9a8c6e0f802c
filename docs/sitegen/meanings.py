"""What the fields mean that mean the same in every call and model, and have no description of their own."""

MEANINGS: dict[str, str] = {}
