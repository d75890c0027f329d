"""What is this address: text in, records out; pure."""

from netprobe.address.classification import Classification, Embedded, classify, kind_of

__all__ = ["Classification", "Embedded", "classify", "kind_of"]
