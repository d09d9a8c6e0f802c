"""One file per question; each has ``measure(scale) -> Result``."""
