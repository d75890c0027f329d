"""The version of netprobe: a static string, because asking the installed metadata costs 27 ms a start."""

__version__ = "0.1.0"
