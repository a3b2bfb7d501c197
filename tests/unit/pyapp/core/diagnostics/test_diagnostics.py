"""The journal, the path from what browsers' `getStats()` really says, and what came of asking the ICE servers."""

from typing import Any

import pytest

from pyapp.core.diagnostics.diagnostics import (
    KEPT,
    SHOWN,
    CandidateFacts,
    Gathering,
    Journal,
    PathReport,
    candidate_data,
    candidate_words,
    path_report,
)
from pyapp.protocol.messages import MAX_FRAME_BYTES, MAX_JOURNAL_ENTRIES, Candidate, JournalEntry, encode
from pyapp.protocol.messages import Journal as JournalMessage

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
            "localCandidateId": "Iaaaa",
            "remoteCandidateId": "Ibbbb",
            "bytesSent": 1000,
            "bytesReceived": 1500,
            "currentRoundTripTime": 0.024,
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
            dtls_state="connected",
            tls_version="FEFD",
            pair_changes=2,
        )

    def test_of_firefox_follows_the_pair_that_is_selected(self) -> None:
        report = path_report(firefox())
        assert report is not None
        assert (report.pair, report.path, report.round_trip) == ("{2}", "relay", None)
        assert (report.bytes_sent, report.bytes_received) == (10, 20)
        assert report.local.words() == "relay udp 203.0.113.9:49152 over tls"
        assert report.remote.words() == "prflx udp"

    @pytest.mark.parametrize("relay_protocol", ["udp", "tcp", "tls"])
    def test_knows_how_the_relay_is_reached(self, relay_protocol: str) -> None:
        stats = chromium()
        stats["Iaaaa"] |= {"candidateType": "relay", "relayProtocol": relay_protocol, "url": URL}
        report = path_report(stats)
        assert report is not None
        assert (report.path, report.local.relay_protocol, report.local.url) == ("relay", relay_protocol, URL)
        assert report.data()["relay_protocol"] == relay_protocol
        assert report.data()["server"] == URL

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
        assert report.local.words() == "host udp"

    def test_is_one_line_that_grep_finds(self) -> None:
        report = path_report(chromium())
        assert report is not None
        assert report.line() == (
            "path=direct local=host udp 192.0.2.1:50000 remote=srflx udp 198.51.100.2:40000 rtt=24ms"
        )
        unmeasured = path_report(firefox())
        assert unmeasured is not None
        assert unmeasured.line().endswith(" rtt=?")

    def test_fits_into_a_journal_entry(self) -> None:
        report = path_report(chromium())
        assert report is not None
        entry = JournalEntry(1, 0.0, "pair", report.data())
        assert entry.data["round_trip_ms"] == 24.0
        assert entry.data["ufrag"] == "abcd"


class TestCandidates:
    def test_are_told_with_everything_but_credentials(self) -> None:
        text = "candidate:1 1 udp 9 203.0.113.9 49152 typ relay raddr 198.51.100.7 rport 4 ufrag abcd pwd secret"
        data = candidate_data(Candidate(text, "0", 0, None), URL)
        assert data == {
            "type": "relay",
            "protocol": "udp",
            "tcp_type": "",
            "address": "203.0.113.9",
            "port": 49152,
            "priority": 9,
            "server": URL,
            "mid": "0",
            "ufrag": "abcd",
        }
        assert candidate_words(data) == "candidate relay udp 203.0.113.9:49152"

    def test_have_an_end(self) -> None:
        data = candidate_data(Candidate("", "0", 0, "abcd"))
        assert data == {"end": True, "ufrag": "abcd"}
        assert candidate_words(data) == "end of candidates"

    def test_that_are_none_are_told_as_such(self) -> None:
        data = candidate_data(Candidate("candidate:nonsense", "0", 0, "abcd"))
        assert "not a candidate" in candidate_words(data)
        assert JournalEntry(1, 0.0, "candidate-remote", data)

    def test_with_the_longest_line_fit_into_a_journal_entry(self) -> None:
        text = f"candidate:1 1 {'u' * 1990} {'9' * 10} a 9 typ host"
        journal = Journal(0.0)
        data = candidate_data(Candidate(text, "0", 0, "abcd"))
        journal.note(0.0, "<", "candidate-remote", candidate_words(data), **data)
        assert len(str(journal.next_batch()[0].data["protocol"])) == 1024


def journal(count: int) -> Journal:
    result = Journal(1_000_000.0)
    for number in range(count):
        result.note(number, "=", "state", f"entry {number}", value=number)
    return result


def numbers(batch: tuple[JournalEntry, ...]) -> list[int]:
    return [entry.number for entry in batch]


class TestJournal:
    def test_counts_and_dates_its_entries(self) -> None:
        one = Journal(1_000_000.0)
        one.note(1.5, ">", "candidate-local", "candidate host", mid="0", ufrag="abcd", relay_protocol="", none=None)
        assert one.next_batch() == (
            JournalEntry(
                1,
                1_001_500.0,
                "candidate-local",
                {"mid": "0", "ufrag": "abcd", "relay_protocol": "", "none": None},
            ),
        )
        (line,) = one.lines
        assert (line.number, line.at, line.mark, line.text) == (1, 1_001_500.0, ">", "candidate host")
        assert line.detail == "mid=0 ufrag=abcd"

    def test_shows_the_newest_first_and_not_all(self) -> None:
        one = journal(SHOWN + 10)
        assert len(one.lines) == SHOWN
        assert one.lines[0].number == SHOWN + 10
        assert one.lines[-1].number == 11

    def test_is_streamed_in_batches_once(self) -> None:
        one = journal(MAX_JOURNAL_ENTRIES + 20)
        assert numbers(one.next_batch()) == list(range(1, 101))
        assert numbers(one.next_batch()) == list(range(101, 121))
        assert one.next_batch() == ()
        one.note(0.0, "=", "state", "more")
        assert numbers(one.next_batch()) == [121]

    def test_streams_again_what_was_not_confirmed(self) -> None:
        one = journal(10)
        one.next_batch()
        one.confirmed(4)
        one.stream_again()
        assert numbers(one.next_batch()) == [5, 6, 7, 8, 9, 10]

    def test_streams_nothing_that_was_confirmed(self) -> None:
        one = journal(10)
        one.next_batch()
        one.confirmed(10)
        one.stream_again()
        assert one.next_batch() == ()
        one.confirmed(10_000)
        one.note(0.0, "=", "state", "more")
        assert numbers(one.next_batch()) == [11]

    def test_keeps_a_bounded_number_and_their_loss_can_be_counted(self) -> None:
        one = journal(KEPT + 5)
        assert one.next_batch()[0].number == 6

    def test_shortens_what_is_too_long_for_an_entry(self) -> None:
        one = Journal(0.0)
        one.note(0.0, "!", "fault", "x", error="e" * 5000)
        assert one.next_batch()[0].data["error"] == "e" * 1024

    def test_batches_fit_into_a_frame(self) -> None:
        one = Journal(0.0)
        for number in range(MAX_JOURNAL_ENTRIES):
            one.note(number, "!", "fault", "x", where="render", error="JsException: " + "x" * 700)
        assert len(encode(JournalMessage(one.next_batch())).encode()) <= MAX_FRAME_BYTES

    def test_batches_of_samples_fit_into_a_frame(self) -> None:
        """After some minutes without signaling: samples of a relay between hosts with long addresses."""
        stats = chromium()
        address = "2001:db8:85a3:1234:5678:8a2e:370:7334"
        stats["Iaaaa"] |= {"candidateType": "relay", "relayProtocol": "tls", "address": address}
        stats["Iaaaa"]["url"] = "turns:turn.eu-central-1.console.example.org:443?transport=tcp"
        stats["Ibbbb"] |= {"candidateType": "relay", "address": address}
        report = path_report(stats)
        assert report is not None
        one = Journal(1_700_000_000_000.0)
        for number in range(MAX_JOURNAL_ENTRIES):
            one.note(number, "=", "stats", report.line(), **report.data())
        assert len(encode(JournalMessage(one.next_batch())).encode()) <= MAX_FRAME_BYTES


class TestGathering:
    @pytest.mark.parametrize(
        ("code", "words"),
        [
            (401, "refused our user name or password"),
            (403, "refused our user name or password"),
            (438, "refused our user name or password"),
            (441, "refused our user name or password"),
            (486, "has reached its limit"),
            (508, "has no capacity left"),
            (701, "did not answer"),
        ],
    )
    def test_knows_what_an_error_means(self, code: int, words: str) -> None:
        gathering = Gathering()
        gathering.error(URL, code, "reason")
        (verdict,) = gathering.verdicts()
        assert verdict == f"The relay server turn.example.org (TCP port 3478) {words}{_ending(code)}."
        assert gathering.causes() == [f"icecandidateerror {code} reason ({URL})"]

    @pytest.mark.parametrize("code", [300, 400, 420, 437, 442, 443, 500, 600, 700])
    def test_makes_no_words_of_other_errors(self, code: int) -> None:
        gathering = Gathering()
        gathering.error(URL, code, "reason")
        assert gathering.verdicts() == []
        assert gathering.causes() == [f"icecandidateerror {code} reason ({URL})"]

    @pytest.mark.parametrize("code", [401, 486, 508, 701])
    def test_says_nothing_of_a_server_that_gave_candidates(self, code: int) -> None:
        gathering = Gathering()
        gathering.error(URL, code, "reason")
        gathering.candidate({"type": "relay", "server": URL})
        assert gathering.verdicts() == []
        assert len(gathering.causes()) == 1

    def test_says_nothing_of_a_stun_server_that_did_not_answer(self) -> None:
        gathering = Gathering()
        gathering.error("stun:stun.example.org", 701, "timeout")
        assert gathering.verdicts() == []

    def test_says_once_what_came_for_every_network_interface(self) -> None:
        gathering = Gathering()
        for _ in range(4):
            gathering.error(URL, 701, "timeout")
            gathering.error(URL, 401, "Unauthorized")
        assert len(gathering.verdicts()) == 1
        assert "refused" in gathering.verdicts()[0]
        assert len(gathering.causes()) == 2

    def test_counts_candidates_by_type(self) -> None:
        gathering = Gathering()
        for kind in ("host", "host", "relay"):
            gathering.candidate({"type": kind, "server": ""})
        gathering.candidate({"end": True})
        gathering.candidate({"problem": "not a candidate"})
        assert (gathering.candidates, gathering.types) == (3, {"host", "relay"})

    def test_of_a_url_that_is_none_names_it_as_it_is(self) -> None:
        gathering = Gathering()
        gathering.error("turnip", 401, "Unauthorized")
        assert gathering.verdicts() == ["The relay server turnip refused our user name or password."]


def _ending(code: int) -> str:
    return " of connections for us" if code == 486 else ""
