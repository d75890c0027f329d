"""Many vantages behind one address share what a host allows a peer in ICMP errors (icmp(7), icmp_ratelimit)."""

from __future__ import annotations

import pytest

from tests.lab.asking import bindtest
from tests.lab.conftest import BuildLab

pytestmark = pytest.mark.lab

MANY = 24


def test_a_refusal_that_the_limit_swallowed_names_the_limit(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    vantage = f"netns:/proc/{network['pc2'].pid}/ns/net"
    options = [word for number in range(MANY) for word in ("--from", f"v{number}={vantage}")]
    options += ["--addr", "127.0.0.1", "--udp", "--timeout", "0.5", "--patience", "0"]
    _, document, errors = bindtest(network, *options)
    cells = [x for x in document["results"] if x["destination"] == "192.168.0.1"]
    assert len(cells) == MANY, errors
    assert {x["expected"] for x in cells} == {"refused"}
    silent = [x for x in cells if x["observed"] == "no-answer"]
    assert silent, "the limit was not met: the test shows nothing"
    for cell in silent:
        assert "limit" in f"{cell['cause']} {cell['difference']}", cell
