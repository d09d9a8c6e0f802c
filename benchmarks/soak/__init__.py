"""A soak: does a client that works for a long time among faults keep memory, sockets, tasks or timers?"""
