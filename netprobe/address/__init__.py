"""What is this address: text in, records out; pure.

The names are loaded on first use (PEP 562): who only asks for the kind of a thousand interface addresses does not wait
for the record of ``classify`` and what it is made of, 12 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netprobe.address.classification import Classification
    from netprobe.address.classifier import classify
    from netprobe.address.kinds import kind_of

__all__ = ["Classification", "classify", "kind_of"]

_MODULES = {"Classification": "classification", "classify": "classifier", "kind_of": "kinds"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"netprobe.address.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
