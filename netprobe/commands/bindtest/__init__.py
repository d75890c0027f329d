"""``netprobe bindtest``."""
