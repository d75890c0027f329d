"""What a socket said, and what that means."""
