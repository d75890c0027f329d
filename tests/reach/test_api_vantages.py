"""netprobe.bindtest() from elsewhere: the command's vantages, in a program."""

from __future__ import annotations

import pytest

import netprobe


def test_vantages_are_those_of_the_command() -> None:
    cells = netprobe.bindtest(["127.0.0.1"], udp=False, vantages=["local", "a=exec:env", "b=exec:false"])
    observed = {x.vantage: x.observed for x in cells if x.destination == "127.0.0.1"}
    assert observed == {"local": "reachable", "a": "reachable", "b": "not-tested"}


def test_a_run_without_any_vantage_that_works_is_an_error() -> None:
    with pytest.raises(netprobe.CannotRunError, match="b: "):
        netprobe.bindtest(["127.0.0.1"], udp=False, vantages=["b=exec:false"])


@pytest.mark.parametrize("vantages", [["telnet:x"], ["ssh:-oProxyCommand=x"], ["a=exec:env", "a=exec:true"]])
def test_what_is_not_a_vantage_is_refused(vantages: list[str]) -> None:
    with pytest.raises(netprobe.InvalidInputError):
        netprobe.bindtest(["127.0.0.1"], vantages=vantages)
