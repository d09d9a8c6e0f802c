"""Server-side jobs: handles, shared polling, lanes."""
