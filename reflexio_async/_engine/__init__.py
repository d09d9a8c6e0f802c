"""One policy each: wire, auth, retry, pacing, background, clock."""
