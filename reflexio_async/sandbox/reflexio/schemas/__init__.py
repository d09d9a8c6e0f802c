"""What each route accepts, validated as the server does. Files are named by nouns, as in the client.

A class is named after the contract's component, with ``Schema`` at the end.
"""
