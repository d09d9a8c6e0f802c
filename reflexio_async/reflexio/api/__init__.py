"""The calls of a Reflexio server, one file per noun: classes that the client inherits from."""
