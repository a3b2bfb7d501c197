"""The path in use, from what browsers' `getStats()` really says."""

from typing import Any

import pytest

from pyapp.core.diagnostics.path_report import ALLOCATION, CHECK, CandidateFacts, PathReport, path_report
from pyapp.protocol.journal import JournalEntry

URL = "turn:turn.example.org:3478?transport=tcp"


Stats = dict[str, dict[str, Any]]


def chromium() -> Stats:
    """Return what Chromium says: the transport names the pair."""
    return {
        "T01": {
            "id": "T01",
            "type": "transport",
            "selectedCandidatePairId": "CPaaaa_bbbb",
            "selectedCandidatePairChanges": 2,
            "dtlsState": "connected",
            "tlsVersion": "FEFD",
            "bytesSent": 2000,
            "bytesReceived": 3000,
            "packetsReceived": 30,
        },
        "CPcccc_dddd": {
            "id": "CPcccc_dddd",
            "type": "candidate-pair",
            "localCandidateId": "Icccc",
            "remoteCandidateId": "Idddd",
        },
        "CPaaaa_bbbb": {
            "id": "CPaaaa_bbbb",
            "type": "candidate-pair",
            "packetsSent": 0,
            "packetsReceived": 0,
            "localCandidateId": "Iaaaa",
            "remoteCandidateId": "Ibbbb",
            "bytesSent": 1000,
            "bytesReceived": 1500,
            "currentRoundTripTime": 0.024,
            "priority": 7_241_540_808_152_612_863,
        },
        "Iaaaa": {
            "id": "Iaaaa",
            "type": "local-candidate",
            "candidateType": "host",
            "protocol": "udp",
            "address": "192.0.2.1",
            "port": 50000,
            "usernameFragment": "abcd",
        },
        "Ibbbb": {
            "id": "Ibbbb",
            "type": "remote-candidate",
            "candidateType": "srflx",
            "protocol": "udp",
            "address": "198.51.100.2",
            "port": 40000,
            "usernameFragment": "efgh",
        },
    }


def firefox() -> Stats:
    """Return what Firefox says: no pair named by the transport, `selected` on the pair."""
    return {
        "{1}": {
            "id": "{1}",
            "type": "candidate-pair",
            "selected": False,
            "localCandidateId": "{9}",
            "remoteCandidateId": "{9}",
        },
        "{2}": {
            "id": "{2}",
            "type": "candidate-pair",
            "selected": True,
            "localCandidateId": "{3}",
            "remoteCandidateId": "{4}",
            "bytesSent": 10,
            "bytesReceived": 20,
        },
        "{3}": {
            "id": "{3}",
            "type": "local-candidate",
            "candidateType": "relay",
            "protocol": "udp",
            "relayProtocol": "tls",
            "address": "203.0.113.9",
            "port": 49152,
        },
        "{4}": {"id": "{4}", "type": "remote-candidate", "candidateType": "prflx", "protocol": "udp", "port": 1},
    }


class TestPathReport:
    def test_of_chromium_follows_the_transport(self) -> None:
        assert path_report(chromium()) == PathReport(
            pair="CPaaaa_bbbb",
            local=CandidateFacts("host", "udp", "192.0.2.1", 50000, username_fragment="abcd"),
            remote=CandidateFacts("srflx", "udp", "198.51.100.2", 40000, username_fragment="efgh"),
            round_trip=0.024,
            bytes_sent=2000,
            bytes_received=3000,
            packets_received=30,
            dtls_state="connected",
            tls_version="FEFD",
            pair_changes=2,
            priority=7_241_540_808_152_612_863,
            pair_sent=1000,
            pair_received=1500,
        )

    def test_of_firefox_follows_the_pair_that_is_selected(self) -> None:
        report = path_report(firefox())
        assert report is not None
        assert (report.pair, report.path, report.round_trip) == ("{2}", "relay", None)
        assert (report.bytes_sent, report.bytes_received) == (10, 20)
        assert report.entry().text() == "relay path, from relay udp 203.0.113.9:49152 over tls to prflx udp"

    @pytest.mark.parametrize("relay_protocol", ["udp", "tcp", "tls"])
    def test_knows_how_the_relay_is_reached(self, relay_protocol: str) -> None:
        stats = chromium()
        stats["Iaaaa"] |= {"candidateType": "relay", "relayProtocol": relay_protocol, "url": URL}
        report = path_report(stats)
        assert report is not None
        assert (report.path, report.local.relay_protocol, report.local.url) == ("relay", relay_protocol, URL)
        assert report.entry().data()["relay_protocol"] == relay_protocol
        assert report.entry().data()["server"] == URL

    def test_is_a_relay_at_either_end(self) -> None:
        stats = chromium()
        assert (report := path_report(stats)) is not None
        assert report.path == "direct"
        stats["Ibbbb"]["candidateType"] = "relay"
        assert (report := path_report(stats)) is not None
        assert report.path == "relay"

    @pytest.mark.parametrize("missing", ["T01", "CPaaaa_bbbb", "Iaaaa", "Ibbbb"])
    def test_is_none_while_a_part_is_missing(self, missing: str) -> None:
        stats = chromium()
        del stats[missing]
        assert path_report(stats) is None

    @pytest.mark.parametrize("value", [None, ""])
    def test_is_none_before_a_pair_is_selected(self, value: str | None) -> None:
        stats = chromium()
        stats["T01"]["selectedCandidatePairId"] = value
        assert path_report(stats) is None
        assert path_report({}) is None

    def test_is_none_in_firefox_before_a_pair_is_selected(self) -> None:
        stats = firefox()
        stats["{2}"]["selected"] = False
        assert path_report(stats) is None

    def test_takes_null_for_not_measured(self) -> None:
        stats = chromium()
        stats["T01"] |= {"bytesSent": None, "tlsVersion": None, "selectedCandidatePairChanges": None}
        stats["CPaaaa_bbbb"] |= {"currentRoundTripTime": None}
        stats["Iaaaa"] |= {"address": None, "port": None}
        report = path_report(stats)
        assert report is not None
        assert (report.bytes_sent, report.tls_version, report.pair_changes) == (1000, "", 0)
        assert report.round_trip is None
        assert " from host udp to " in report.entry().text()

    def test_is_one_sentence(self) -> None:
        report = path_report(chromium())
        assert report is not None
        assert report.entry().text() == (
            "direct path, from host udp 192.0.2.1:50000 to srflx udp 198.51.100.2:40000, 24 ms"
        )

    def test_fits_into_a_journal_entry(self) -> None:
        report = path_report(chromium())
        assert report is not None
        entry = JournalEntry(1, 0.0, "pair", report.entry().data())
        assert entry.data["round_trip_ms"] == 24.0
        assert entry.data["ufrag"] == "abcd"


CARRIED = ALLOCATION + 2500 + 4 * 30 + (CHECK + 8) * 5


@pytest.mark.parametrize(
    ("kind", "protocol", "relayed"),
    [("relay", "udp", CARRIED), ("relay", "tcp", CARRIED + 30), ("relay", "tls", CARRIED + 30), ("srflx", "", 0)],
)
def test_a_relay_counts_what_ice_does_not(kind: str, protocol: str, relayed: int) -> None:
    stats = chromium()
    stats["CPaaaa_bbbb"] |= {"packetsSent": 10, "packetsReceived": 20, "responsesReceived": 2, "requestsReceived": 3}
    stats["Iaaaa"] |= {"candidateType": kind, "relayProtocol": protocol}
    report = path_report(stats)
    assert report is not None
    assert report.relayed == relayed


@pytest.mark.parametrize(
    ("protocol", "sent", "received", "checks", "counted"),
    [
        ("udp", (1_018_269, 1760), (1_005_195, 1738), 28, 2_044_317),
        ("tcp", (1_005_195, 1738), (1_018_269, 1760), 28, 2_046_824),
        ("udp", (1_020, 12), (996, 12), 6, 5_200),
        ("tcp", (996, 12), (1_020, 12), 6, 5_172),
    ],
)
def test_a_relay_is_metered_as_coturn_has_counted(
    protocol: str, sent: tuple[int, int], received: tuple[int, int], checks: int, counted: int
) -> None:
    """Chromium 156 and coturn 4.6: a session with video, and twelve packets after a restart of ICE."""
    stats = chromium()
    stats["CPaaaa_bbbb"] |= {"bytesSent": sent[0], "packetsSent": sent[1], "requestsReceived": checks // 2}
    stats["CPaaaa_bbbb"] |= {"bytesReceived": received[0], "packetsReceived": received[1]}
    stats["CPaaaa_bbbb"]["responsesReceived"] = checks // 2
    stats["Iaaaa"] |= {"candidateType": "relay", "relayProtocol": protocol}
    report = path_report(stats)
    assert report is not None
    assert report.relayed == pytest.approx(counted, rel=0.002 if counted > 10_000 else 0.02)


def test_of_a_browser_that_counts_no_packets_they_are_estimated() -> None:
    """Firefox ESR 153, relayed over UDP: what a coturn of its own had counted was 882,820 bytes."""
    quiet: Stats = {
        "pair": {"type": "candidate-pair", "selected": True, "localCandidateId": "l", "remoteCandidateId": "r"}
        | {"bytesSent": 14_119, "bytesReceived": 12_938},
        "l": {"type": "local-candidate", "candidateType": "relay", "relayProtocol": "udp"},
        "r": {"type": "remote-candidate", "candidateType": "relay"},
        "channel": {"type": "data-channel", "messagesSent": 114, "messagesReceived": 121}
        | {"bytesSent": 1_837, "bytesReceived": 1_954},
    }
    report = path_report(quiet)
    assert report is not None
    assert report.pair_packets == pytest.approx(345, rel=0.05), "as the other end's Chromium has counted"
    video = quiet | {
        "pair": quiet["pair"] | {"bytesSent": 445_232, "bytesReceived": 325_799},
        "channel": {"type": "data-channel", "messagesSent": 239, "messagesReceived": 314}
        | {"bytesSent": 4_104, "bytesReceived": 5_522},
        "out": {"type": "outbound-rtp", "packetsSent": 440, "bytesSent": 407_246, "headerBytesSent": 13_974},
        "in": {"type": "inbound-rtp", "packetsReceived": 404, "bytesReceived": 289_947, "headerBytesReceived": 9_772},
    }
    report = path_report(video)
    assert report is not None
    assert report.relayed == pytest.approx(882_820, rel=0.02)


HIDDEN, HOME, NEXT_DOOR = "", "2001:db8:0:1::a", "2001:0DB8:0:0001:5::b"


@pytest.mark.parametrize(
    ("local", "remote", "share_address", "is_near"),
    [
        (("host", "10.0.0.1"), ("host", "10.0.0.2"), False, True),
        (("host", HIDDEN), ("host", HIDDEN), None, True),
        (("host", HOME), ("host", NEXT_DOOR), None, True),
        (("host", HOME), ("host", "2001:db8:0:2::a"), None, False),
        (("host", HOME), ("host", "2001:db8::2"), False, False),
        (("host", HIDDEN), ("prflx", HIDDEN), True, True),
        (("host", HIDDEN), ("prflx", HIDDEN), None, True),  # no STUN server is configured
        (("host", HIDDEN), ("prflx", HIDDEN), False, False),
        (("prflx", HIDDEN), ("prflx", HIDDEN), None, False),
        (("host", HIDDEN), ("srflx", "203.0.113.1"), True, False),
        (("host", HIDDEN), ("srflx", "192.168.1.2"), None, True),  # the STUN server is on the same network
        (("host", HIDDEN), ("prflx", "fd00:1::2"), False, True),
        (("host", "10.0.0.1"), ("relay", "10.0.0.2"), None, False),
    ],
)
def test_both_ends_are_on_one_network(
    local: tuple[str, str], remote: tuple[str, str], share_address: bool | None, is_near: bool
) -> None:
    ours, theirs = (CandidateFacts(kind, "udp", address) for kind, address in (local, remote))
    assert PathReport("P", ours, theirs).is_near(share_address=share_address) == is_near
