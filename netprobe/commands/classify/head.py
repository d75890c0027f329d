"""What ``classify --registry --json`` says beside the blocks."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RegistryHead"]


@dataclass(frozen=True, slots=True)
class RegistryHead:
    """The further top-level keys of the document."""

    page_date: str
