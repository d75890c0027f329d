"""Many vantages in few lines: those that agree are one group. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from netprobe.reach.records import Cell

__all__ = ["FEW", "Agreement", "agreements"]

FEW = 8  # so many vantages are named in a group that is not the largest
SHORT = "reachable"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the vantages say about one (protocol, bind address, destination): groups, the largest first."""

    protocol: str
    bind: str | None
    destination: str
    groups: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def text(self) -> str:
        """``312 of 315 vantages: reachable; web17, web18: rejected (…); db3: not-tested (host key unknown)``."""
        total = sum(len(names) for _, names in self.groups)
        parts = []
        for number, (said, names) in enumerate(self.groups):
            if len(names) == total and total > 1:
                who = f"all {total} vantages"
            elif number == 0 and len(names) > 1:
                who = f"{len(names)} of {total} vantages"
            else:
                who = ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")
            parts.append(f"{who}: {said}")
        return "; ".join(parts)

    def __str__(self) -> str:
        return f"{self.protocol} {self.bind} at {self.destination}: {self.text}"


def agreements(cells: Iterable[Cell]) -> tuple[Agreement, ...]:
    """One for each (protocol, bind, destination), in the order of the cells."""
    found: dict[tuple[str, str | None, str], dict[str, list[str]]] = {}
    for cell in cells:
        said: str = cell.observed
        if cell.cause and cell.observed != SHORT:
            said += f" ({cell.cause})"
        groups = found.setdefault((cell.protocol, cell.bind, cell.destination), {})
        groups.setdefault(said, []).append(cell.vantage)
    return tuple(
        Agreement(
            *key, tuple(sorted(((said, tuple(names)) for said, names in groups.items()), key=lambda x: -len(x[1])))
        )
        for key, groups in found.items()
    )
