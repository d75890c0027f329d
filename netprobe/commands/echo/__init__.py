"""``netprobe echo``."""
