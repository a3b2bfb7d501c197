"""Whether UDP gets out again; with a connection around it at the end."""

from itertools import pairwise
from typing import Any

import pytest

from pyapp.core import commands, events
from pyapp.core.diagnostics.path_report import CandidateFacts, PathReport
from pyapp.core.path.probe import CHANNELS, EVERY, FIRST_PAUSE, LAST_PAUSE, LEAST, QUIET_EVERY, SOON, TIMER, Probe
from pyapp.core.peers import PeerId, PeerIds
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.peer import Candidate
from tests.unit.pyapp.fakes import stats_of
from tests.unit.pyapp.sessions import SAMPLED, TURN, Core, IceConfigured, Said, connected

HERE, THERE = "203.0.113.1", "203.0.113.2"
RELAYS = IceConfiguration((IceServer(("turn:one.example:3478", TURN), "u", "c"),))
STUN = RELAYS.without_relays()


def report(kind: str, over: str = "") -> PathReport:
    return PathReport("pair", CandidateFacts(kind, "udp", relay_protocol=over), CandidateFacts("host", "udp"))


def asking(over: str = "tls") -> Probe:
    probe = Probe(PeerIds())
    probe.review(report("relay", over), allowed=True)
    return probe


def answered(probe: Probe, address: str, now: float, known: str = "") -> bool:
    probe.due(STUN, now)
    answer = probe.answer(seen(address))
    assert answer == address
    probe.close()
    return probe.is_news(answer, {known} - {""}, now)


def seen(address: str) -> events.PeerEvent:
    """Return the answer of the STUN server, or that there is none."""
    if not address:
        return events.LocalCandidatesEnded(None)
    line = f"candidate:2 1 udp 1677729535 {address} 9 typ srflx raddr 0.0.0.0 rport 0 ufrag p"
    return events.LocalCandidate(Candidate(line, "0", 0, "p"), "")


def asks(number: int) -> list[commands.Command]:
    return [
        commands.OfPeer(PeerId(number), commands.CreatePeer(STUN, CHANNELS)),
        commands.OfPeer(PeerId(number), commands.SetLocalDescription(1)),
    ]


class TestAStunServer:
    @pytest.mark.parametrize("over", ["tcp", "tls"])
    def test_is_asked_now_and_then_on_a_relay_over_tcp(self, over: str) -> None:
        wait = commands.StartTimer(TIMER, EVERY, only_if_idle=True)
        assert Probe(PeerIds()).review(report("relay", over), allowed=True) == [wait]
        assert asking().due(STUN, 9.0) == [*asks(1), commands.StartTimer(TIMER, EVERY)]

    def test_is_asked_less_often_while_the_session_is_quiet(self) -> None:
        assert commands.StartTimer(TIMER, QUIET_EVERY) in asking().due(STUN, 9.0, is_quiet=True)

    @pytest.mark.parametrize("path", [report("host"), report("srflx"), report("relay", "udp"), report("relay")])
    def test_is_not_asked_on_any_other_path(self, path: PathReport) -> None:
        assert Probe(PeerIds()).review(path, allowed=True) == []
        probe = asking()
        assert probe.review(path, allowed=True) == [commands.CancelTimer(TIMER)]
        assert probe.review(path, allowed=True) == []
        assert probe.may_have_changed(1.0, certain=False) == []

    def test_is_asked_again_by_the_same_connection_for_as_long_as_none_answers(self) -> None:
        probe = asking()
        probe.due(STUN, 10.0)
        restarted, described, _ = probe.due(STUN, 13.0)
        assert (restarted, described) == (commands.OfPeer(PeerId(1), commands.RestartIce()), asks(1)[1])
        assert probe.close() == [commands.OfPeer(PeerId(1), commands.ClosePeer())]
        assert probe.due(STUN, 16.0)[:2] == asks(2)

    def test_is_not_asked_if_there_is_none(self) -> None:
        assert asking().due(IceConfiguration(), 9.0) == []

    def test_is_not_asked_where_only_relays_are_wanted(self) -> None:
        assert Probe(PeerIds()).review(report("relay", "tls"), allowed=False) == []

    def test_is_asked_soon_when_the_browser_says_anything_but_not_all_the_time(self) -> None:
        probe = asking()
        probe.due(STUN, 10.0)
        assert probe.may_have_changed(20.0, certain=False) == [commands.StartTimer(TIMER, SOON)]
        assert probe.may_have_changed(10.0, certain=False) == [commands.StartTimer(TIMER, LEAST)]


class TestARestart:
    def test_is_worth_it_when_udp_gets_out_that_did_not(self) -> None:
        probe = asking()
        assert not answered(probe, "", 10.0)
        assert answered(probe, HERE, 13.0)

    def test_is_not_worth_it_for_an_address_that_ice_knows(self) -> None:
        assert not answered(asking(), HERE, 10.0, known=HERE)

    def test_is_tried_once_for_an_address(self) -> None:
        probe = asking()
        assert answered(probe, HERE, 10.0)
        assert not answered(probe, HERE, 10.0 + LAST_PAUSE)
        assert answered(probe, THERE, 10.0 + LAST_PAUSE)

    def test_is_tried_again_where_udp_comes_and_goes_with_growing_pauses(self) -> None:
        probe = asking()
        begun = [second for second in range(5000) if answered(probe, HERE if second % 2 else "", float(second))]
        pauses = [later - earlier for earlier, later in pairwise(begun)]
        assert pauses[0] == pytest.approx(FIRST_PAUSE, abs=2)
        assert pauses == sorted(pauses)
        assert pauses[-1] == pytest.approx(LAST_PAUSE, abs=2)

    def test_is_tried_at_once_again_on_what_is_certainly_another_network(self) -> None:
        probe = asking()
        assert answered(probe, HERE, 10.0)
        probe.may_have_changed(11.0, certain=True)
        assert answered(probe, HERE, 12.0)

    def test_is_tried_again_for_an_address_that_a_question_in_between_did_not_find(self) -> None:
        probe = asking()
        assert answered(probe, HERE, 10.0)
        probe.close()
        probe.due(STUN, 10.0 + FIRST_PAUSE)
        assert answered(probe, HERE, 13.0 + FIRST_PAUSE)

    @pytest.mark.parametrize("line", ["typ host", "typ relay raddr 0.0.0.0 rport 0"])
    def test_is_not_begun_for_any_other_candidate(self, line: str) -> None:
        candidate = Candidate(f"candidate:1 1 udp 1 {HERE} 9 {line}", "0", 0, "p")
        assert asking().answer(events.LocalCandidate(candidate, "")) is None

    def test_is_not_begun_if_the_browser_does_not_ask(self) -> None:
        assert asking().answer(events.PeerOperationFailed("createPeer", "UnknownError: no more of them")) == ""


class TestAConnectionOverTls:
    def relayed(self, **changes: Any) -> Core:
        core = connected(**changes)
        core.do(IceConfigured(RELAYS))
        core.do(events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="tls", url=TURN)))
        return core

    def asked(self, core: Core) -> commands.CreatePeer:
        outputs = core.do(events.TimerFired(TIMER))
        of_probe = [output.command for output in outputs if isinstance(output, commands.OfPeer)]
        (create,) = (command for command in of_probe if isinstance(command, commands.CreatePeer))
        return create

    def answered(self, core: Core) -> list[Said]:
        """Return what the answer leads to, beside the end of the question."""
        over, *outputs = core.do(events.OfPeer(core.probe, seen(HERE)))
        assert over == commands.OfPeer(core.probe, commands.ClosePeer())
        return outputs

    def test_asks_the_servers_that_it_has_and_no_relays(self) -> None:
        core = self.relayed()
        assert core.timers[TIMER] == EVERY
        assert self.asked(core).configuration == STUN

    def test_is_left_while_it_works(self) -> None:
        core = self.relayed()
        self.asked(core)
        outputs = self.answered(core)
        assert commands.RestartIce() in outputs
        assert core.state == "connected"

    def test_is_kept_if_its_own_candidates_have_that_address(self) -> None:
        core = self.relayed()
        line = f"candidate:2 1 udp 1677729535 {HERE} 9 typ srflx raddr 0.0.0.0 rport 0 ufrag l1"
        core.do(events.LocalCandidate(Candidate(line, "0", 0, "l1"), TURN))
        self.asked(core)
        assert self.answered(core) == []
        assert core.timers[TIMER] == QUIET_EVERY

    def test_is_asked_about_soon_when_the_browser_says_anything(self) -> None:
        core = self.relayed()
        core.do(events.NetworkChanged("change", certain=False))
        assert core.timers[TIMER] == pytest.approx(max(SOON, LEAST - core.now))

    def test_that_is_direct_by_now_is_left_alone(self) -> None:
        core = self.relayed()
        self.asked(core)
        assert commands.OfPeer(core.probe, commands.ClosePeer()) in core.do(SAMPLED)
        assert TIMER not in core.timers
        assert core.do(events.OfPeer(core.probe, seen(HERE))) == []

    def test_asks_no_more_once_it_is_closed(self) -> None:
        core = self.relayed()
        self.asked(core)
        core.do(events.HangUpRequested())
        assert core.peers == set()
        assert core.do(events.OfPeer(core.probe, seen(HERE))) == []
