"""The Reflexio API as rows, one file per noun, mixed into the client."""
