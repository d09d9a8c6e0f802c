"""One module per question. Each has a function ``measure(scale) -> Result``."""
