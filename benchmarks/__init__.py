"""What the client costs, side by side with the same work written by hand: ``python -m benchmarks``."""
