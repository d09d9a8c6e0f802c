"""Memory for an agent: what is recalled before a turn, and what is published after it."""
