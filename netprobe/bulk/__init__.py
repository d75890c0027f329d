"""Streams of addresses: what is each of these, and which of them pass; the writer is handed in."""
