"""Whatever a vantage says, it harms itself alone. Seeded: the same hundreds of sessions each time.

``python -m tests.bench.fuzz_vantage --sessions 20000`` goes on from there.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.reach.mutated_vantage import Fuzzer, mutated

EACH = 50


@pytest.mark.parametrize("first", range(1, 301, EACH))
def test_whatever_a_vantage_says_it_harms_itself_alone(first: int, tmp_path: Path) -> None:
    fuzzer = Fuzzer(tmp_path)
    faults = {seed: fuzzer.fault(seed) for seed in range(first, first + EACH)}
    assert {seed: fault for seed, fault in faults.items() if fault} == {}


def test_a_seed_is_the_same_words_again() -> None:
    true: list[dict[str, Any]] = [{"hello": {"version": 1, "links": []}}, {"cell": 0, "result": "timeout"}]
    said = [mutated(true, random.Random(seed)) for seed in range(200)]
    assert said == [mutated(true, random.Random(seed)) for seed in range(200)]
    plain = b"".join(json.dumps(line).encode() + b"\n" for line in true)
    assert 100 < sum(words != plain for words in said) < 200  # some are left as they are
