"""What a bindtest's JSON document says beside the cells: its further top-level keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netprobe.reach.agreement import Agreement
from netprobe.reach.conclude import Conclusion
from netprobe.reach.expectations import Change
from netprobe.reach.rules import Rule

__all__ = ["BindtestHead", "head_of"]


@dataclass(frozen=True, slots=True)
class _Group:
    observed: str
    vantages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Agreement:
    protocol: str
    bind: str | None
    destination: str
    text: str
    groups: tuple[_Group, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    id: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class BindtestHead:
    """The keys in their order; one that does not apply to a run is None and left out."""

    conclusions: tuple[Conclusion, ...]
    agreements: tuple[_Agreement, ...] | None = None
    rules: tuple[_Rule, ...] | None = None
    changes: tuple[Change, ...] | None = None


def head_of(
    conclusions: Iterable[Conclusion], agreed: Sequence[Agreement], rules: Sequence[Rule] | None
) -> BindtestHead:
    """The keys of a run; ``rules`` is None where they were not asked for."""
    return BindtestHead(
        conclusions=tuple(conclusions),
        agreements=tuple(
            _Agreement(x.protocol, x.bind, x.destination, str(x), tuple(_Group(*group) for group in x.groups))
            for x in agreed
        )
        or None,
        rules=None if rules is None else tuple(_Rule(rule.id, rule.text, rule.source) for rule in rules),
    )
