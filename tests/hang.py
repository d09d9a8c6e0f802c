"""How long tests wait for what must happen in real time."""

A_HANG = 60.0
"""Seconds after which something hangs.

It tells a hang from a result, and nothing else: a machine that is busy may stop any process for seconds, at
any moment. A shorter wait in real time belongs to what is tested: give a reason beside it.
"""
