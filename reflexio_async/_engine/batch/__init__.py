"""Batches: the same call for many keys, with one outcome per key."""
