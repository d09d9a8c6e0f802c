"""What each route accepts, validated as the server validates it."""
