"""Programs that make calls in a process of their own and print what the calls cost.

Those of the official clients import nothing else from this repository: their environments do not have it.
"""
