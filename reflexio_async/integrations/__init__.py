"""Adapters for frameworks of agents and of the web. Each has a module and an extra; import the module you use."""
