"""What the routes do, one file per noun: ``(world, call, body) -> Reply``."""
