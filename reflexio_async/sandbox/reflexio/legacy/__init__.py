"""The API of January 2026: routes, schemas and handlers."""
