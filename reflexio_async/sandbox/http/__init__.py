"""HTTP as both services serve it: sockets, routes, responses."""
