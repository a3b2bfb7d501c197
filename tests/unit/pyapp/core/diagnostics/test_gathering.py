"""What gathering candidates found, of each ICE server."""

import pytest

from pyapp.core.diagnostics.gathering import Gathering, ServerProblem, local_candidate, remote_candidate
from pyapp.core.diagnostics.journal import Journal
from pyapp.protocol.entries import LocalCandidate
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.peer import Candidate

URL = "turn:turn.example.org:3478?transport=tcp"


class TestCandidates:
    def test_are_told_with_everything_but_credentials(self) -> None:
        text = "candidate:1 1 udp 9 203.0.113.9 49152 typ relay raddr 198.51.100.7 rport 4 ufrag abcd pwd secret"
        entry = local_candidate(Candidate(text, "0", 0, None), URL)
        assert entry.data() == {
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
        assert entry.text() == "candidate relay udp 203.0.113.9:49152"

    def test_have_an_end(self) -> None:
        entry = remote_candidate(Candidate("", "0", 0, "abcd"))
        assert entry.data() == {"end": True, "ufrag": "abcd"}
        assert entry.text() == "end of candidates"

    def test_that_are_none_are_told_as_such(self) -> None:
        entry = remote_candidate(Candidate("candidate:nonsense", "0", 0, "abcd"))
        assert "not a candidate" in entry.text()
        assert JournalEntry(1, 0.0, entry.event, entry.data())

    def test_with_the_longest_line_fit_into_a_journal_entry(self) -> None:
        text = f"candidate:1 1 {'u' * 1990} {2**32 - 1} a 9 typ host"
        journal = Journal(0.0)
        journal.note(0.0, remote_candidate(Candidate(text, "0", 0, "abcd")))
        assert len(str(journal.next_batch()[0].data["protocol"])) == 1024


class TestGathering:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (401, "credentials-refused"),
            (403, "credentials-refused"),
            (438, "credentials-refused"),
            (441, "credentials-refused"),
            (486, "quota-reached"),
            (508, "no-capacity"),
            (701, "no-answer"),
        ],
    )
    def test_knows_what_an_error_means(self, code: int, kind: str) -> None:
        gathering = Gathering()
        gathering.error(URL, code, "reason")
        (problem,) = gathering.problems()
        assert (problem.url, problem.kind) == (URL, kind)
        assert gathering.causes() == [f"icecandidateerror {code} reason ({URL})"]

    @pytest.mark.parametrize("code", [300, 400, 420, 437, 442, 443, 500, 600, 700])
    def test_makes_no_problem_of_other_errors(self, code: int) -> None:
        gathering = Gathering()
        gathering.error(URL, code, "reason")
        assert gathering.problems() == []
        assert gathering.causes() == [f"icecandidateerror {code} reason ({URL})"]

    @pytest.mark.parametrize("code", [401, 486, 508, 701])
    def test_says_nothing_of_a_server_that_gave_candidates(self, code: int) -> None:
        gathering = Gathering()
        gathering.error(URL, code, "reason")
        gathering.candidate(LocalCandidate(type="relay", server=URL))
        assert gathering.problems() == []
        assert len(gathering.causes()) == 1

    def test_does_not_call_a_server_silent_whose_relay_it_may_be(self) -> None:
        gathering = Gathering()
        gathering.error(URL, 701, "")
        gathering.error("turn:full.example.org", 486, "")
        gathering.candidate(LocalCandidate(type="host"))
        assert [problem.kind for problem in gathering.problems()] == ["no-answer", "quota-reached"]
        gathering.candidate(LocalCandidate(type="relay"))
        assert gathering.problems() == [ServerProblem("turn:full.example.org", "quota-reached")]

    @pytest.mark.parametrize(
        ("url", "text", "kind"),
        [
            ("turn:127.0.0.1:3478", "", "loopback"),
            ("turn:[::1]:3478?transport=tcp", "", "loopback"),
            ("turn:127.0.0.1:3478?transport=tcp", "Failed to establish connection", "no-answer"),
            ("turn:192.0.2.1:3478", "", "no-answer"),
            ("turnip", "", "no-answer"),
        ],
    )
    def test_knows_what_firefox_never_asks(self, url: str, text: str, kind: str) -> None:
        gathering = Gathering()
        gathering.error(url, 701, text)
        assert [problem.kind for problem in gathering.problems()] == [kind]

    def test_says_nothing_of_a_stun_server_that_did_not_answer(self) -> None:
        gathering = Gathering()
        gathering.error("stun:stun.example.org", 701, "timeout")
        assert gathering.problems() == []

    def test_says_once_what_came_for_every_network_interface(self) -> None:
        gathering = Gathering()
        for _ in range(4):
            gathering.error(URL, 701, "timeout")
            gathering.error(URL, 401, "Unauthorized")
        assert gathering.problems() == [ServerProblem(URL, "credentials-refused")]
        assert len(gathering.causes()) == 2

    def test_counts_candidates_by_type(self) -> None:
        gathering = Gathering()
        for kind in ("host", "host", "relay"):
            gathering.candidate(LocalCandidate(type=kind))
        gathering.candidate(LocalCandidate(end=True))
        gathering.candidate(LocalCandidate(problem="not a candidate"))
        assert (gathering.candidates, gathering.types) == (3, {"host", "relay"})
