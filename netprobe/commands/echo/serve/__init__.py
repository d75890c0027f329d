"""``netprobe echo serve``."""
