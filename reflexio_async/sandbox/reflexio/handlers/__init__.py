"""What the routes do. Files are named by nouns, as in the client.

A handler takes the state, the request's context and the validated input, and returns the response.
"""
