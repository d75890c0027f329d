"""``classify --here`` asks the kernel for the route: more specific routes, rules and blackholes count."""

from __future__ import annotations

import json

import pytest

from tests.conftest import NETPROBE
from tests.lab.conftest import BuildLab

pytestmark = pytest.mark.lab

NETWORK = {
    "hosts": {
        "one": {
            "run": [
                "ip addr add fe80::5/64 dev e0 nodad",
                "ip route add default via 10.9.0.1",
                "ip route add 10.50.0.0/16 via 10.9.0.9",
                "ip route add 10.9.0.64/26 via 10.9.0.2",
                "ip route add prohibit 10.60.0.0/16",
                "ip route add blackhole 10.61.0.0/16",
                "ip route add unreachable 10.62.0.0/16",
                "ip route add local 10.77.0.0/16 dev lo",
                "ip route add 10.80.0.0/16 via 10.9.0.3 table 7",
                "ip rule add to 10.80.0.0/16 lookup 7",
            ]
        },
        "two": {},
    },
    "links": [
        {
            "ends": [
                {"host": "one", "name": "e0", "addresses": ["10.9.0.5/24"]},
                {"host": "two", "name": "e0", "addresses": ["10.9.0.1/24"]},
            ]
        }
    ],
}


def test_the_kernel_is_asked_for_the_way(lab: BuildLab) -> None:
    expected = {
        "10.9.0.5": ("own", "e0", None),
        "10.77.3.3": ("own", "lo", None),
        "10.9.0.0": ("network", "e0", None),
        "10.9.0.255": ("broadcast", "e0", None),
        "10.9.0.1": ("gateway", "e0", None),
        "10.9.0.12": ("on-link", "e0", None),
        "10.9.0.70": ("routed", "e0", "10.9.0.2"),
        "10.50.1.1": ("routed", "e0", "10.9.0.9"),
        "10.80.1.1": ("routed", "e0", "10.9.0.3"),
        "198.51.100.1": ("routed", "e0", "10.9.0.1"),
        "10.60.0.1": ("no-route", None, None),
        "10.61.0.1": ("no-route", None, None),
        "10.62.0.1": ("no-route", None, None),
        "2001:db8::1": ("no-route", None, None),
        "fe80::1%e0": ("on-link", "e0", None),
    }
    ran = lab(NETWORK)["one"].run(str(NETPROBE), "classify", "--here", "--json", *expected)
    found = {
        record["input"]: (record["here"]["relation"], record["here"]["interface"], record["here"]["gateway"])
        for record in json.loads(ran.stdout)["results"]
    }
    assert found == expected
