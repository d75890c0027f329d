"""``netprobe interfaces``."""
