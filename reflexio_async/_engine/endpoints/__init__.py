"""Decorators that give a coroutine function the keywords of its request."""
