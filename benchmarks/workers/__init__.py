"""Programs that make calls in an interpreter of their own, and say what those cost.

They import nothing of this repository but one another: the official clients' environments lack the rest.
"""
