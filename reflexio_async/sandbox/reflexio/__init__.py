"""The Reflexio service."""
