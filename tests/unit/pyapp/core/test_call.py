"""A call: its journal, failing while its parts are at work, and going on without relays."""

import pytest

from pyapp.core import commands, events, provisioning
from pyapp.core.diagnostics.journal import TIMER as JOURNAL
from pyapp.core.failures import Refusal
from pyapp.core.path.facts import ReplacementWanted
from pyapp.core.signaling import link
from pyapp.protocol.journal import MAX_JOURNAL_ENTRIES, Journal, Journaled
from pyapp.protocol.peer import Candidate, Description, RelaysUnknown
from pyapp.protocol.signaling import Error, Leave, PeerJoined, PeerLeft, Welcome
from pyapp.view.console import present
from tests.unit.pyapp.sessions import (
    CANDIDATE,
    CONFIGURATION,
    CONNECTED,
    FAILED,
    INVITATION,
    SAMPLED,
    TURN,
    B,
    C,
    Closed,
    Core,
    IceConfigured,
    Opened,
    connected,
    connecting,
    journals,
    negotiated,
    sent,
    waiting,
)


def test_that_fails_while_the_two_start_over_takes_nobody_for_a_partner() -> None:
    """The refusal ends it after `PeerGone`, and `PeerArrived` is the next of the same list."""
    core = connected()
    core.session.presence.refusal = Refusal("replaced", "by another page")
    core.session.call._connection_did([ReplacementWanted()])
    assert core.session.connection is None
    core.session.conversation.submit("for whoever comes", core.now)
    assert [message.text for message in core.session.conversation.messages] == ["for whoever comes"]


class TestTheJournal:
    def test_sends_it_all_before_the_goodbye_also_on_a_socket_that_has_just_opened(self) -> None:
        core = waiting()
        core.do(PeerJoined(B))
        core.do(events.SignalingClosed(core.socket, 1006, ""), events.TimerFired(link.RETRY), Opened())
        outputs = core.do(events.HangUpRequested())
        sent = [output.message for output in outputs if isinstance(output, commands.SendSignaling)]
        *before, goodbye = sent
        assert goodbye == Leave()
        entries = [entry for one in before if isinstance(one, Journal) for entry in one.entries]
        assert [entry.number for entry in entries] == [*range(1, core.session.journal.number + 1)]

    def test_is_streamed_a_second_after_something_was_noted(self) -> None:
        core = waiting()
        assert core.timers[JOURNAL] == 1.0
        (batch,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert [entry.number for entry in batch.entries] == list(range(1, len(batch.entries) + 1))
        assert JOURNAL not in core.timers
        assert journals(core.do(events.TimerFired(JOURNAL))) == []

    def test_a_confirmation_calls_for_no_frame_before_its_time(self) -> None:
        """Connecting writes fifty entries in a second, and encoding them holds it up."""
        core = waiting()
        (batch,) = journals(core.do(events.TimerFired(JOURNAL)))
        core.do(events.StateChanged("ice-gathering", "gathering"))
        assert journals(core.do(Journaled(batch.entries[-1].number))) == []
        assert core.timers[JOURNAL] == 1.0
        (rest,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert rest.entries[0].number == batch.entries[-1].number + 1

    def test_is_streamed_in_batches(self) -> None:
        core = waiting()
        for number in range(MAX_JOURNAL_ENTRIES):
            core.do(events.StateChanged("ice-gathering", str(number)))
        (first,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert len(first.entries) == MAX_JOURNAL_ENTRIES
        assert JOURNAL in core.timers
        (second,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert second.entries[0].number == MAX_JOURNAL_ENTRIES + 1

    def test_is_streamed_again_after_a_new_socket_from_what_was_confirmed(self) -> None:
        core = waiting()
        (before,) = journals(core.do(events.TimerFired(JOURNAL)))
        core.do(Journaled(2), Closed(1006, ""), events.TimerFired(link.RETRY))
        assert journals(core.do(events.TimerFired(JOURNAL))) == []
        core.do(Opened(), Welcome(polite=False, peer=""))
        (again,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert again.entries[0].number == 3
        assert again.entries[-1].number > before.entries[-1].number

    @pytest.mark.parametrize("code", ["limit", "unavailable"])
    def test_is_streamed_again_when_the_server_could_not_keep_it(self, code: str) -> None:
        core = waiting()
        core.do(events.TimerFired(JOURNAL), Error(code, "The journal is busy; send it again.", "journal-queue"))
        (batch,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert batch.entries[0].number == 1

    def test_has_every_state_candidate_and_error(self) -> None:
        core = waiting()
        core.do(
            events.StateChanged("ice-connection", "checking"),
            events.LocalCandidate(Candidate(CANDIDATE, "0", 0, "l1"), TURN),
            events.CandidateError(TURN, 701, "timeout", ""),
            PeerJoined(B),
        )
        core.peer_says(Candidate(CANDIDATE, "0", 0, "r1"))
        names = [name for name, _ in core.journal]
        assert names[-5:] == ["state", "candidate-local", "candidate-error", "peer", "candidate-remote"]
        local = dict(core.journal)["candidate-local"]
        assert (local["type"], local["protocol"], local["server"]) == ("host", "udp", TURN)

    def test_has_no_secret(self) -> None:
        secret = "a=ice-ufrag:l1\r\na=ice-pwd:the-password\r\n"
        core = connecting(invitation=INVITATION)
        core.do(IceConfigured(CONFIGURATION), Opened())
        core.do(Welcome(polite=False, peer=""), PeerJoined(B))
        core.do(events.LocalDescriptionSet(1, events.SessionDescription("offer", f"v=0\r\n{secret}")))
        core.peer_says(Description("answer", f"v=0\r\n{secret}", 1))
        core.peer_says(Candidate(f"{CANDIDATE} pwd the-password", "0", 0, "l1"))
        core.do(CONNECTED, events.ChannelOpened("messages"), SAMPLED, events.MessageSubmitted("the-message"), FAILED)
        text = repr(core.journal) + repr(core.session.journal.lines)
        for word in ("the-password", "the-credential", INVITATION, "the-message", "ice-pwd"):
            assert word not in text
        assert len(core.journal) > 8


class TestGoingOnWithoutRelays:
    def late(self) -> Core:
        """Return one that waits alone, and whose server names no relays in time."""
        core = connecting()
        core.do(Opened(), Welcome(polite=False, peer=""))
        core.do(events.TimerFired(provisioning.LATE), events.TimerFired(provisioning.LATE))
        return core

    def test_is_told_to_the_other_side_whoever_it_is(self) -> None:
        core = self.late()
        assert RelaysUnknown() in sent(core.said)
        core.do(PeerJoined(B))
        core.said.clear()
        core.do(PeerLeft(B), PeerJoined(C))
        assert RelaysUnknown() in sent(core.said)

    def test_is_told_no_more_once_they_are_there(self) -> None:
        core = self.late()
        core.do(PeerJoined(B))
        core.said.clear()
        core.do(IceConfigured(CONFIGURATION))
        assert RelaysUnknown() not in sent(core.said)

    def test_of_the_other_side_is_said_in_words(self) -> None:
        core = negotiated()
        assert "without relays" not in present(core.session).status.detail
        core.peer_says(RelaysUnknown())
        assert "They go on without relays" in present(core.session).status.detail
        core.do(PeerLeft(B), PeerJoined(C))
        assert "without relays" not in present(core.session).status.detail

    def test_of_the_other_side_is_forgotten_with_the_session(self) -> None:
        core = negotiated()
        core.peer_says(RelaysUnknown())
        core.do(events.HangUpRequested(), events.ConnectRequested("another"))
        assert not core.session.call.peer_lacks_relays

    def test_is_not_blamed_on_the_networks_alone(self) -> None:
        core = negotiated()
        core.peer_says(RelaysUnknown())
        core.do(FAILED)
        assert "the server named no relays" in present(core.session).status.detail
