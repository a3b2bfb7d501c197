"""The head start of candidates of the kind that worked last."""

import pytest

from pyapp.core.diagnostics.gathering import local_candidate
from pyapp.core.diagnostics.path_report import CandidateFacts, PathReport
from pyapp.core.negotiation.head_start import HeadStart
from pyapp.protocol.peer import Candidate

UDP, TCP, TLS = "turn:t.example:3478", "turn:t.example:3478?transport=tcp", "turns:t.example:443?transport=tcp"
STUN = "stun:s.example:3478"


def report(local: str, remote: str = "host", relay_protocol: str = "") -> PathReport:
    facts = [
        CandidateFacts(type=kind, protocol="udp", address="", port=0, relay_protocol=over, url="", username_fragment="")
        for kind, over in ((local, relay_protocol), (remote, ""))
    ]
    return PathReport(
        pair="P",
        local=facts[0],
        remote=facts[1],
        round_trip=None,
        bytes_sent=0,
        bytes_received=0,
        dtls_state="connected",
        tls_version="",
        pair_changes=1,
    )


def candidate(
    kind: str, address: str = "192.0.2.1", port: int = 9, *, protocol: str = "udp", fragment: str = "u"
) -> Candidate:
    return Candidate(f"candidate:1 1 {protocol} 1 {address} {port} typ {kind}", "0", 0, fragment)


def where_others_reach_us() -> HeadStart:
    """Return that of a network on which a direct path is possible."""
    start = HeadStart()
    assert not holds(start, candidate("srflx"), STUN)
    return start


def holds(start: HeadStart, told: Candidate, server: str = "", in_use: PathReport | None = None) -> bool:
    return start.holds(told, local_candidate(told, server), in_use or report("host"))


@pytest.mark.parametrize(
    ("in_use", "kind", "server", "held"),
    [
        (None, "relay", TLS, False),
        (report("srflx", "srflx"), "host", "", False),
        (report("host"), "srflx", "stun:s.example:3478", False),
        (report("prflx", "host"), "relay", UDP, True),
        (report("relay", "srflx", "udp"), "relay", UDP, False),
        (report("relay", "srflx", "udp"), "relay", TLS, True),
        (report("relay", "srflx", "udp"), "srflx", UDP, False),
        (report("prflx", "relay"), "relay", UDP, False),
        (report("prflx", "relay"), "relay", TCP, True),
        (report("relay", "relay", "tls"), "relay", TCP, False),
        (report("relay", "relay", "tls"), "relay", UDP, False),
    ],
)
def test_what_leads_to_a_dearer_kind_of_path_waits(
    in_use: PathReport | None, kind: str, server: str, *, held: bool
) -> None:
    start = where_others_reach_us()
    assert start.holds(candidate(kind), local_candidate(candidate(kind), server), in_use) is held
    assert start.over() == ([candidate(kind)] if held else [])
    assert start.over() == []


def test_the_end_of_candidates_comes_after_them() -> None:
    start = where_others_reach_us()
    assert not start.holds_end()
    relay = candidate("relay")
    assert holds(start, relay, UDP)
    assert start.holds_end()
    assert start.over() == [relay, None]
    assert not start.holds_end()


class TestAnAddressToReachUsAt:
    """What a relay waits for: one of ours that others could send UDP to."""

    @pytest.mark.parametrize(
        "told",
        [
            candidate("host"),
            candidate("srflx"),
            candidate("host", "2001:db8::1"),
            # Two addresses of one socket, seen by servers of two families, or two interfaces: no symmetric NAT.
            candidate("srflx", "2001:db8::1", 5000),
        ],
    )
    def test_is_a_reason_to_wait(self, told: Candidate) -> None:
        start = HeadStart()
        assert not holds(start, told)
        assert not start.is_pointless
        assert holds(start, candidate("relay"), UDP)

    @pytest.mark.parametrize(
        "told",
        [
            None,
            candidate("host", "0f6f9b3c-3a5f-4b51-9f5c-6a3a2f1c7f10.local"),
            candidate("host", protocol="tcp"),
            candidate("relay", "203.0.113.9"),
            Candidate("", None, 0, "u"),
            Candidate("candidate:1 1 udp", "0", 0, "u"),
        ],
    )
    def test_is_none_where_udp_is_blocked_or_behind_an_mdns_name(self, told: Candidate | None) -> None:
        start = HeadStart()
        if told:
            assert not holds(start, told, UDP)
        assert start.is_pointless
        assert not holds(start, candidate("relay"), UDP)
        assert start.over() == []

    def test_of_a_symmetric_nat_is_none(self) -> None:
        start = HeadStart()
        holds(start, candidate("srflx", port=5000), STUN)
        assert not start.is_pointless
        holds(start, candidate("srflx", port=5001), UDP)
        assert start.is_pointless
        assert not holds(start, candidate("relay"), UDP)

    def test_that_two_servers_see_alike_is_one(self) -> None:
        start = HeadStart()
        for server in (STUN, UDP):
            holds(start, candidate("srflx", port=5000), server)
        assert not start.is_pointless
        assert holds(start, candidate("relay"), UDP)

    def test_that_comes_after_a_relay_lets_the_next_ones_wait(self) -> None:
        start = HeadStart()
        assert not holds(start, candidate("relay"), UDP)
        holds(start, candidate("srflx"), STUN)
        assert holds(start, candidate("relay"), TCP)

    def test_of_two_networks_is_two(self) -> None:
        start = HeadStart()
        for address, port in (("192.0.2.1", 5000), ("192.0.2.2", 5001)):
            holds(start, candidate("srflx", address, port), STUN)
        assert not start.is_pointless

    def test_of_an_older_generation_is_of_a_network_that_may_be_gone(self) -> None:
        start = where_others_reach_us()
        assert not holds(start, candidate("relay", fragment="u2"), UDP)
        assert start.is_pointless

    def test_of_an_older_generation_makes_no_symmetric_nat_of_another_port(self) -> None:
        start = where_others_reach_us()
        holds(start, candidate("srflx", port=5001, fragment="u2"), STUN)
        assert not start.is_pointless
        assert holds(start, candidate("relay", fragment="u2"), UDP)
