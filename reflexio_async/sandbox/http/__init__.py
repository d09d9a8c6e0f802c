"""The HTTP of both services: sockets, routes, requests and responses."""
