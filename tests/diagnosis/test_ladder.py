"""What is said of a ladder, and above all what is not: pure, rung by rung. The lab has the faults themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.diagnosis.ladder import Climbed, judge
from netprobe.kernel.error_queue import QueuedError
from netprobe.outcome.blame import Layer
from netprobe.outcome.rung import Came, Rung


def icmp(ttl: int, sender: str, kind: int = 11, code: int = 0, mtu: int | None = None) -> Rung:
    error = QueuedError("icmp6" if ":" in sender else "icmp", kind, code, sender, "EHOSTUNREACH", 113)
    return Rung(ttl, Came.ICMP, error, 1.0, mtu)


def hops(*ttls: int) -> tuple[Rung, ...]:
    """Time exceeded at each of these, from a router that is named after it."""
    return tuple(icmp(ttl, f"192.0.2.{ttl}") for ttl in ttls)


def silence(first: int, last: int = 30) -> tuple[Rung, ...]:
    return tuple(Rung(ttl, Came.SILENCE) for ttl in range(first, last + 1))


ANSWER = Rung(4, Came.ANSWER, None, 1.0)
RESET = Rung(4, Came.RST, None, 1.0)
SILENT = Climbed("198.51.100.1", 80, "tcp", (*hops(1, 2), *silence(3)), control_port=22, control_protocol="tcp")


def test_what_gets_through_is_nobody_s_fault_and_what_was_not_sent_says_nothing() -> None:
    assert judge(replace(SILENT, rungs=(*hops(1, 2, 3), ANSWER))) is None
    assert judge(replace(SILENT, rungs=())) is None


def test_silence_leaves_open_who_and_in_which_direction() -> None:
    blame = judge(SILENT)
    assert blame is not None
    assert (blame.what, blame.place, blame.layer, blame.certain) == (
        "silent behind 192.0.2.2 (hop 2)", None, Layer.PATH, False,
    )  # fmt: skip
    assert blame.evidence == ("tcp port 80: hop 1 192.0.2.1, hop 2 192.0.2.2, then silence up to a TTL of 30",)
    assert blame.remaining == (
        "a rule that drops what 192.0.2.2 (hop 2) forwards (forward, output)",
        "a rule that drops what hop 3 takes in (prerouting, input)",
        "a rule that drops the answer on its way back",
        "hop 3 is down or not there, has no route on, or none back",
    )
    assert blame.excluded == ()


@pytest.mark.parametrize(
    ("control", "far", "excluded", "by"),
    [
        ((*hops(3), ANSWER), "through", "no route, no host or no way back", "tcp port 22 is answered at hop 4"),
        ((*hops(3), RESET), "through", "no route, no host or no way back", "tcp port 22 is reset at hop 4"),
        (
            (*hops(3), *silence(4)), "further", "no route on from there",
            "tcp port 22 gets as far as 192.0.2.3 (hop 3)",
        ),
    ],
)  # fmt: skip
def test_a_control_that_gets_further_makes_it_a_matter_of_the_port(
    control: tuple[Rung, ...], far: str, excluded: str, by: str
) -> None:
    blame = judge(replace(SILENT, control=control))
    assert blame is not None
    assert blame.what == f"silent behind 192.0.2.2 (hop 2), where tcp port 22 gets {far}"
    assert [(each.what, each.by) for each in blame.excluded] == [(excluded, by)]
    assert all("for this port" in remaining for remaining in blame.remaining)
    assert not blame.certain


def test_the_server_is_called_so_where_the_control_shows_that_it_is_the_next_hop() -> None:
    blame = judge(replace(SILENT, rungs=(*hops(1, 2, 3), *silence(4)), control=(ANSWER,)))
    assert blame is not None
    assert "a rule for this port that drops what the server (hop 4) takes in (prerouting, input)" in blame.remaining


def test_a_control_that_is_silent_as_well_rules_out_nothing() -> None:
    blame = judge(replace(SILENT, control=silence(3)))
    assert blame is not None
    assert (blame.what, blame.excluded) == ("silent behind 192.0.2.2 (hop 2)", ())
    assert blame.evidence[1] == "tcp port 22 is silent from there on, too"


def test_a_router_that_sends_no_errors_is_no_fault_where_one_behind_it_answers() -> None:
    rungs = (*hops(1), *silence(2, 2), *hops(3), *silence(4))
    blame = judge(replace(SILENT, rungs=rungs))
    assert blame is not None and blame.what == "silent behind 192.0.2.3 (hop 3)"
    assert judge(replace(SILENT, rungs=(*hops(1), *silence(2, 3), ANSWER))) is None


def test_silence_from_the_first_hop_may_be_our_own() -> None:
    blame = judge(replace(SILENT, rungs=silence(1)))
    assert blame is not None
    assert blame.what == "silent from the first hop on"
    assert blame.remaining[0] == "a rule that drops what this vantage sends (output)"


def test_an_error_that_names_its_sender_is_certain() -> None:
    blame = judge(replace(SILENT, rungs=(*hops(1, 2), icmp(3, "192.0.2.2", 3, 13))))
    assert blame is not None
    assert (blame.place, blame.what, blame.certain) == ("192.0.2.2", "answers 'administratively prohibited'", True)
    assert blame.evidence[0].endswith("at hop 3, nearer than the server")


def test_the_server_s_own_error_is_not_nearer_than_the_server() -> None:
    mapped = replace(SILENT, address="::ffff:198.51.100.1", rungs=(*hops(1, 2), icmp(3, "198.51.100.1", 3, 3)))
    blame = judge(mapped)
    assert blame is not None
    assert "nearer" not in blame.evidence[0]


def test_a_reset_says_nothing_of_its_sender() -> None:
    reset = replace(SILENT, rungs=(*hops(1, 2), Rung(3, Came.RST, None, 1.0)))
    alone, nearer, same = (
        judge(replace(reset, control=c)) for c in ((), (*hops(3), ANSWER), (replace(ANSWER, ttl=3),))
    )
    assert alone is not None and nearer is not None and same is not None
    assert not any(blame.certain or blame.place for blame in (alone, nearer, same))
    assert alone.what == "reset at hop 3"
    assert (nearer.what, nearer.layer) == ("reset behind 192.0.2.2 (hop 2), nearer than the server", Layer.PATH)
    assert same.what == "reset at hop 3, as far as the server"


BIG = Climbed("198.51.100.1", 80, "udp", (*hops(1, 2), *silence(3, 4)), 1500, 80, "udp", (*hops(1, 2, 3), ANSWER))


def test_a_narrow_link_is_that_behind_the_router_that_says_so() -> None:
    blame = judge(replace(BIG, rungs=(*hops(1, 2), icmp(3, "192.0.2.2", 3, 4, 1300))))
    assert blame is not None
    assert (blame.place, blame.layer, blame.text, blame.certain) == ("192.0.2.2", Layer.MTU, "MTU 1300", True)
    assert blame.what == "takes no packets of 1500 bytes: MTU 1300"


def test_a_router_may_leave_the_mtu_out() -> None:
    blame = judge(replace(BIG, rungs=(*hops(1, 2), icmp(3, "192.0.2.2", 3, 4))))
    assert blame is not None
    assert (blame.text, blame.what) == (None, "takes no packets of 1500 bytes: a smaller MTU")


def test_large_packets_alone_are_lost_in_a_black_hole() -> None:
    blame = judge(BIG)
    assert blame is not None
    assert blame.what == "black hole for 1500 bytes behind 192.0.2.2 (hop 2); small packets get through"
    assert (blame.layer, blame.certain, len(blame.remaining)) == (Layer.MTU, False, 2)
    lost = judge(replace(BIG, control=(*hops(1, 2), *silence(3))))
    assert lost is not None and lost.layer is Layer.PATH


def test_a_loop_is_one_router_again_and_again() -> None:
    twice = (*hops(1), icmp(2, "192.0.2.9"), icmp(3, "192.0.2.8"), icmp(4, "192.0.2.9"))
    blame = judge(replace(SILENT, rungs=(*twice, *silence(5))))
    assert blame is not None and blame.layer is Layer.PATH
    blame = judge(replace(SILENT, rungs=(*twice, icmp(5, "192.0.2.8"), icmp(6, "192.0.2.9"), *silence(7))))
    assert blame is not None
    assert (blame.layer, blame.what, blame.certain) == (Layer.ROUTE, "a routing loop through 192.0.2.9", True)


def test_over_ipv6_it_is_the_same() -> None:
    rungs = (icmp(1, "2001:db8::1", 3), icmp(2, "2001:db8::2", 2, 0, 1300))
    blame = judge(Climbed("2001:db8:1::1", 80, "udp", rungs, 1500))
    assert blame is not None
    assert (blame.place, blame.text) == ("2001:db8::2", "MTU 1300")
