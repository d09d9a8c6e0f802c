"""Fan-out of many keys, each to its own outcome."""
