"""netprobe: what is this address, who can reach what I bind, does it echo.

The public functions are loaded on first use (PEP 562), so that ``import netprobe`` costs nothing::

    import netprobe

    netprobe.classify("172.20.1.5").kind      # 'private'
    netprobe.classify_many(open("addresses"))  # a record, or the error, for each line
    netprobe.local_interfaces()               # this host's interfaces and their addresses
    netprobe.bindtest(["0.0.0.0"])            # who can reach it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netprobe.version import __version__

if TYPE_CHECKING:
    from netprobe.address import classify
    from netprobe.api import bindtest, classify_many, local_interfaces
    from netprobe.errors import AddressError, CannotRunError, InvalidInputError, NetprobeError

__all__ = [
    "AddressError",
    "CannotRunError",
    "InvalidInputError",
    "NetprobeError",
    "__version__",
    "bindtest",
    "classify",
    "classify_many",
    "local_interfaces",
]

_HOMES = {
    "classify": "netprobe.address",
    "bindtest": "netprobe.api",
    "classify_many": "netprobe.api",
    "local_interfaces": "netprobe.api",
}  # fmt: skip; the rest are errors


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "netprobe.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
