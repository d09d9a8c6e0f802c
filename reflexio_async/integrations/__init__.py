"""Adapters for frameworks of agents and of the web. Each is a module with an extra: import those you use."""
