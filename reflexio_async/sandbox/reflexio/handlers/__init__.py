"""What the routes do. Files are named by nouns, as in the client.

A handler names what it needs in its parameters (see ``Route``), and returns the response.
"""
