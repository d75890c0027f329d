"""``netprobe echo ping``."""
