"""``netprobe echo send``."""
