"""What the client costs, compared with the same work written by hand: ``python -m benchmarks``."""
