"""``netprobe completion``."""
