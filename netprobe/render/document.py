"""Records as JSON: one whole document, or one compact line a record (NDJSON)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from netprobe.errors import NetprobeError
from netprobe.render.fields import as_json

__all__ = ["compact", "whole"]


def compact(record: Any) -> str:
    """One record as one line."""
    return json.dumps(as_json(record), ensure_ascii=False, separators=(", ", ": "), allow_nan=False)


def whole(schema: str, head: Mapping[str, Any], records: Sequence[Any], errors: Sequence[NetprobeError]) -> str:
    """The document ``{"schema", …, "results": […], "errors": […]}``."""
    document = {
        "schema": schema,
        **as_json(dict(head)),
        "results": as_json(list(records)),
        "errors": [error.as_record() for error in errors],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
