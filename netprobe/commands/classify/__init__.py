"""``netprobe classify``."""
