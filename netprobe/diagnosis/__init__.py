"""Who is to blame: what was seen of a probe that failed, judged."""
