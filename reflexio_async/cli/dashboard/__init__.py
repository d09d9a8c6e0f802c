"""``dashboard``: a page that shows what is in a store, as it changes."""
