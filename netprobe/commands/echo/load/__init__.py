"""``netprobe echo load``."""
