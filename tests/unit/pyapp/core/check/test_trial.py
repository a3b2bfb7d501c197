"""One URL by itself, as a list of events."""

import pytest

from pyapp.core import commands, events
from pyapp.core.check import trial as trials
from pyapp.core.check.trial import CHANNELS, PINGS, Trial
from pyapp.core.events import PeerEvent, SessionDescription
from pyapp.core.peers import PeerId, PeerIds
from pyapp.protocol.ice import IceServer
from pyapp.protocol.peer import Candidate
from tests.unit.pyapp.fakes import stats_of

NEAR, FAR = PeerId(1), PeerId(2)
OFFER = SessionDescription("offer", "a=ice-ufrag:old\r\n")
ANSWER = SessionDescription("answer", "a=ice-ufrag:far\r\n")
TURN, TLS = "turn:turn.example:3478?transport=udp", "turns:turn.example:443?transport=tcp"
STUN = "stun:stun.example:3478"
HERE, HERE_TLS = "turn:127.0.0.1:3478?transport=udp", "turns:localhost:443?transport=tcp"


def candidate(kind: str, address: str = "198.51.100.10", port: int = 5000) -> events.LocalCandidate:
    line = f"candidate:1 1 udp 1 {address} {port} typ {kind} raddr 0.0.0.0 rport 0 ufrag old"
    return events.LocalCandidate(Candidate(line, "0", 0, "old"), "")


def error(code: int, text: str = "", address: str = "0.0.0.x") -> events.CandidateError:
    return events.CandidateError("", code, text, address)


def began(url: str = TURN) -> Trial:
    trial = Trial(PeerIds(), IceServer((url,), "u", "c"))
    (create, describe) = trial.begin(0.0)
    assert isinstance(create, commands.OfPeer)
    assert isinstance(create.command, commands.CreatePeer)
    assert create.command.channels == CHANNELS
    assert create.command.configuration.policy == ("all" if url == STUN else "relay")
    assert describe == commands.OfPeer(NEAR, commands.SetLocalDescription(1))
    return trial


def said(trial: Trial, *told: PeerEvent, now: float, peer: PeerId = NEAR) -> list[commands.Command]:
    return [command for event in told for command in trial.receive(peer, event, now)]


def connected() -> Trial:
    """Return a trial whose channel has opened at 0.3 s, and whose first ping is out."""
    trial = began()
    said(trial, events.LocalDescriptionSet(1, OFFER), candidate("relay"), now=0.1)
    said(trial, events.LocalDescriptionSet(1, ANSWER), candidate("relay", port=6000), now=0.2, peer=FAR)
    said(trial, events.ChannelOpened("check"), now=0.3)
    return trial


def measured() -> Trial:
    trial = connected()
    now = 0.3
    for number in range(1, PINGS + 1):
        said(trial, events.ChannelReceived("check", str(number)), now=now + (0.02 if number % 2 else 0.04))
        now += 0.05
        trial.tick(now)
    trial.tick(now + 0.05)
    assert trial.state == "measured"
    return trial


class TestAStunServer:
    def test_that_answers_is_timed_and_tells_the_family(self) -> None:
        trial = began(STUN)
        assert said(trial, candidate("srflx", "203.0.113.1"), now=0.05) == []
        assert trial.tick(0.1) == []
        assert trial.tick(0.6) == [commands.OfPeer(NEAR, commands.ClosePeer())]
        assert (trial.found.answered, trial.found.families) == (0.05, {4})

    def test_may_answer_over_both_families(self) -> None:
        trial = began(STUN)
        said(trial, candidate("srflx", "203.0.113.1"), candidate("srflx", "2001:db8::1"), now=0.05)
        said(trial, events.LocalCandidatesEnded(None), now=0.1)
        assert (trial.state, trial.found.families) == ("done", {4, 6})

    def test_is_well_if_our_address_is_public_and_no_candidate_comes(self) -> None:
        trial = began(STUN)
        said(trial, events.LocalCandidatesEnded(None), now=0.1)
        assert (trial.found.answered, trial.found.cause) == (0.1, None)

    def test_that_is_silent_is_given_up(self) -> None:
        trial = began(STUN)
        assert trial.tick(trials.GATHER_FOR) == [commands.OfPeer(NEAR, commands.ClosePeer())]
        assert trial.found.cause == "no-answer"


class TestARelay:
    def test_is_met_by_a_second_connection_at_its_first_candidate(self) -> None:
        trial = began()
        assert said(trial, events.LocalDescriptionSet(1, OFFER), now=0.05) == []
        first = candidate("relay")
        create, apply, describe, pass_on = said(trial, first, now=0.1)
        assert isinstance(create, commands.OfPeer)
        assert create.peer == FAR
        assert apply == commands.OfPeer(FAR, commands.SetRemoteDescription(1, OFFER))
        assert describe == commands.OfPeer(FAR, commands.SetLocalDescription(1))
        assert pass_on == commands.OfPeer(FAR, commands.AddIceCandidate(first.candidate))
        theirs = candidate("relay", port=6000)
        assert said(trial, theirs, now=0.15, peer=FAR) == []  # until there is an answer
        assert said(trial, events.LocalDescriptionSet(1, ANSWER), now=0.2, peer=FAR) == [
            commands.OfPeer(NEAR, commands.SetRemoteDescription(1, ANSWER)),
            commands.OfPeer(NEAR, commands.AddIceCandidate(theirs.candidate)),
        ]

    def test_whose_candidate_is_faster_than_our_description_is_met_after_it(self) -> None:
        trial = began()
        assert said(trial, candidate("relay"), now=0.1) == []
        assert len(said(trial, events.LocalDescriptionSet(1, OFFER), now=0.11)) == 4

    def test_is_measured_by_half_of_what_a_ping_takes(self) -> None:
        found = measured().found
        assert found.is_loop_open
        assert found.connected == pytest.approx(0.3)
        assert found.round_trip == pytest.approx(0.02)
        assert found.jitter == pytest.approx(0.01)
        assert len(found.trips) == found.pings == PINGS

    def test_may_lose_pings(self) -> None:
        trial = connected()
        now = 0.3
        while trial.state == "measuring" and now < 3:
            now += 0.05
            trial.tick(now)
        assert (trial.state, trial.found.pings, trial.found.round_trip) == ("measured", PINGS, None)

    def test_is_filled_up_to_a_number_of_bytes(self) -> None:
        trial = measured()
        now, sent = 2.0, trial.fill(2.0)
        while sent:
            (send,) = sent
            assert isinstance(send, commands.OfPeer)
            assert isinstance(send.command, commands.SendOnChannel)
            now += 0.004
            assert said(trial, events.ChannelFilled("check-bulk"), now=now) == []
            said(trial, events.ChannelReceived("check-bulk", send.command.text), now=now, peer=FAR)
            sent = said(trial, events.ChannelDrained("check-bulk"), now=now)
        assert trial.state == "measured"
        assert trials.FILL_BYTES <= trial.found.received < trials.FILL_BYTES + 2 * len(trials.PIECE)
        assert trial.found.rate == pytest.approx(len(trials.PIECE) * 8 / 0.004)

    def test_is_filled_no_longer_than_for_a_moment(self) -> None:
        trial = measured()
        trial.fill(2.0)
        said(trial, events.ChannelFilled("check-bulk"), now=2.0)
        trial.tick(2.01 + trials.FILL_FOR)
        assert trial.state == "measured"
        assert said(trial, events.ChannelDrained("check-bulk"), now=3.0) == []

    def test_survives_an_ice_restart_once_the_new_generation_is_in_use(self) -> None:
        trial = measured()
        assert [command.command for command in trial.restart(2.0) if isinstance(command, commands.OfPeer)] == [
            commands.RestartIce(),
            commands.SetLocalDescription(2),
        ]
        again = SessionDescription("offer", "a=ice-ufrag:new\r\n")
        said(trial, events.LocalDescriptionSet(2, again), now=2.05)
        old, new = stats_of(("relay", "relay"), usernameFragment="old"), None
        said(trial, events.StatsSampled(old), now=2.1)
        assert trial.found.restarted is None
        new = stats_of(("relay", "relay"), usernameFragment="new")
        said(trial, events.StatsSampled(new), now=2.2)
        assert trial.found.restarted == pytest.approx(0.2)
        assert trial.state == "measured"

    def test_that_passes_nothing_on_is_told_from_one_that_does_not_answer(self) -> None:
        trial = began()
        said(trial, events.LocalDescriptionSet(1, OFFER), candidate("relay"), now=0.1)
        said(trial, events.LocalCandidatesEnded(None), now=0.2)
        said(trial, error(486, "Allocation Quota Reached"), events.LocalCandidatesEnded(None), now=0.2, peer=FAR)
        assert len(trial.tick(0.1 + trials.CONNECT_FOR)) == 2
        assert (trial.found.is_loop_open, trial.found.cause, trial.found.codes) == (False, None, frozenset({486}))

    def test_ends_both_connections(self) -> None:
        trial = connected()
        for peer in (NEAR, FAR):
            said(trial, events.LocalCandidatesEnded(None), now=0.4, peer=peer)
        assert trial.close() == [commands.OfPeer(peer, commands.ClosePeer()) for peer in (NEAR, FAR)]
        assert not trial.owns(NEAR)
        assert trial.close() == []


@pytest.mark.parametrize(
    ("url", "errors", "ends", "cause"),
    [
        (TURN, [error(401, "Unauthorized.")], True, "credentials"),
        (TURN, [error(701), error(438)], True, "credentials"),
        (TURN, [error(486, "Allocation Quota Reached")], True, "quota"),
        (TURN, [error(701), error(508)], True, "capacity"),
        (TURN, [error(701, "TURN host lookup received error.")] * 2, True, "dns"),
        # Of a host with IPv4 alone, the browser says so for IPv6; IPv4 is still being asked.
        (TURN, [error(701, "TURN host lookup received error.", "[0:0:0:x:x:x:x:x]")], False, "no-answer"),
        (TLS, [error(701, "Failed to establish connection")] * 2, True, "closed"),
        (TLS, [], False, "no-answer"),
        (TLS, [], True, "refused-by-browser"),
        # Firefox asks no server on loopback, and says so by a 701 without a text, or not at all.
        (HERE, [error(701)], True, "loopback"),
        (HERE_TLS, [], True, "loopback"),
        (HERE_TLS, [error(701, "Failed to establish connection")], True, "closed"),
        (HERE, [], False, "no-answer"),
        (TURN, [], False, "no-answer"),
    ],
)
def test_why_there_is_no_candidate(url: str, errors: list[PeerEvent], ends: bool, cause: str) -> None:
    trial = began(url)
    said(trial, *errors, now=0.1)
    if ends:
        said(trial, events.LocalCandidatesEnded(None), now=0.2)
    else:
        trial.tick(trials.GATHER_FOR)
    assert (trial.state, trial.found.cause) == ("done", cause)


def test_an_error_of_one_interface_is_noise() -> None:
    trial = began()
    said(trial, events.LocalDescriptionSet(1, OFFER), error(701), candidate("relay"), now=0.1)
    assert (trial.state, trial.found.cause) == ("connecting", None)


def test_a_url_that_the_browser_does_not_take_is_said_so() -> None:
    trial = began()
    said(trial, events.PeerOperationFailed("createPeer", "SyntaxError: no"), now=0.1)
    assert trial.found.cause == "refused-by-browser"
