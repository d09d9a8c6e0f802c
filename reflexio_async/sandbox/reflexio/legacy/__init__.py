"""What a server of January 2026 does; it says null where today's says nothing."""
