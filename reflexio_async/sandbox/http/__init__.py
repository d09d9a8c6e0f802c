"""HTTP as both services speak it: sockets, routes, requests and responses."""
