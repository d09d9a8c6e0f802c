"""Declarations that become typed methods."""
