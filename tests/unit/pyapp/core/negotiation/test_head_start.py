"""The head start of candidates of the kind that worked last."""

import pytest

from pyapp.core.diagnostics.gathering import candidate_data
from pyapp.core.diagnostics.path_report import CandidateFacts, PathReport
from pyapp.core.negotiation.head_start import HeadStart
from pyapp.protocol.peer import Candidate

UDP, TCP, TLS = "turn:t.example:3478", "turn:t.example:3478?transport=tcp", "turns:t.example:443?transport=tcp"


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


def candidate(kind: str) -> Candidate:
    return Candidate(f"candidate:1 1 udp 1 192.0.2.1 9 typ {kind}", "0", 0, "u")


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
    start = HeadStart()
    assert start.holds(candidate(kind), candidate_data(candidate(kind), server), in_use) is held
    assert start.over() == ([candidate(kind)] if held else [])
    assert start.over() == []


def test_the_end_of_candidates_comes_after_them() -> None:
    start = HeadStart()
    assert not start.holds_end()
    relay = candidate("relay")
    start.holds(relay, candidate_data(relay, UDP), report("host"))
    assert start.holds_end()
    assert start.over() == [relay, None]
    assert not start.holds_end()
