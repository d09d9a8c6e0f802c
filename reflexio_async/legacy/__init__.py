"""The API of January 2026."""
