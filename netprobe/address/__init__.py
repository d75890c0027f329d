"""What is this address: text in, records out; pure."""

from __future__ import annotations

from netprobe.address.classification import Classification
from netprobe.address.classifier import classify, kind_of

__all__ = ["Classification", "classify", "kind_of"]
