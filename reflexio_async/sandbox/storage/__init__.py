"""Rows in memory, and the SQLite file that keeps them."""
