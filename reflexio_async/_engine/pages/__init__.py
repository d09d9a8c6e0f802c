"""HTML pages: the report of a batch, and what the dashboard shares with it."""
