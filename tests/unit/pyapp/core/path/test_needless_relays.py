"""Relays that may not be needed: when a direct path is looked for, and over which interfaces."""

from dataclasses import replace
from typing import Any

import pytest

from pyapp.core import commands, events
from pyapp.core.path.ladder import LADDER
from pyapp.core.path.recovery import ATTEMPT
from pyapp.core.path.relaying import NEEDLESS_RELAY, NEEDLESS_RELAY_AFTER, ONE_NETWORK, ONE_NETWORK_AFTER
from pyapp.core.path.relays import DIRECT, FIRST_DIRECT_AFTER
from pyapp.protocol.channel import Beat
from pyapp.protocol.peer import Candidate, Description
from tests.unit.pyapp.core.path.test_recovery import RELAYED, outage, relayed, suspicious
from tests.unit.pyapp.fakes import sdp, stats_of
from tests.unit.pyapp.sessions import SAMPLED, TURN, Core, connected


class TestBackToADirectPath:
    def test_is_tried_after_a_while_with_doubling_pauses(self) -> None:
        core = relayed()
        pauses = []
        for _ in range(7):
            pauses.append(core.timers[DIRECT])
            assert commands.RestartIce() in core.do(events.TimerFired(DIRECT))
            core.do(RELAYED)
        assert pauses == [60.0, 120.0, 240.0, 480.0, 960.0, 1800.0, 1800.0]
        assert pauses[0] == FIRST_DIRECT_AFTER

    def test_is_tried_soon_again_after_a_change_of_the_network(self) -> None:
        core = relayed()
        for _ in range(3):
            core.do(events.TimerFired(DIRECT), RELAYED)
        core.do(events.NetworkChanged("change", certain=False), events.TimerFired(DIRECT), RELAYED)
        assert core.timers[DIRECT] == 2 * FIRST_DIRECT_AFTER

    def test_is_not_tried_when_it_is_there(self) -> None:
        core = relayed()
        core.do(SAMPLED)
        assert commands.RestartIce() not in core.do(events.TimerFired(DIRECT))

    def test_is_looked_for_with_all_kinds_of_candidates_although_relays_alone_were_tried_last(self) -> None:
        core = relayed()
        suspicious(core)
        assert core.session.connection
        outage(core).ladder.attempts = LADDER.index("relay-only")
        assert core.session.place
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now
        outputs = core.do(events.TimerFired(ATTEMPT))
        (configured,) = (output for output in outputs if isinstance(output, commands.SetConfiguration))
        assert configured.configuration.policy == "relay"
        core.do(events.ChannelReceived("heartbeat", Beat(1, 99, 0, 100, 0).encode()), events.TimerFired(ATTEMPT))
        assert core.session.connection.recovery.is_healthy
        outputs = core.do(events.TimerFired(DIRECT))
        policies = [output.configuration.policy for output in outputs if isinstance(output, commands.SetConfiguration)]
        assert policies == ["all"]


class TestARelayThatMayNotBeNeeded:
    """Chromium ends a gathering with the first pair that works, even if that is a relay's."""

    RELAY = Candidate("candidate:1 1 udp 1 203.0.113.9 9 typ relay raddr 0.0.0.0 rport 0 ufrag l2", "0", 0, "l2")
    REFLEXIVE = Candidate("candidate:2 1 udp 2 203.0.113.1 9 typ srflx raddr 0.0.0.0 rport 0 ufrag l2", "0", 0, "l2")

    def relayed(self, *told: Candidate, over: str = "udp", **changes: Any) -> Core:
        core = connected(**changes)
        core.do(*(events.LocalCandidate(candidate, TURN) for candidate in told))
        core.do(events.StatsSampled(stats_of(("l2", "r1"), candidateType="relay", relayProtocol=over, url=TURN)))
        return core

    def test_is_done_without_soon_and_once(self) -> None:
        core = self.relayed(self.RELAY)
        assert core.timers[NEEDLESS_RELAY] == NEEDLESS_RELAY_AFTER
        assert commands.RestartIce() in core.do(events.TimerFired(NEEDLESS_RELAY))
        core.do(events.StatsSampled(stats_of(("l2", "r1"), candidateType="relay", relayProtocol="udp", url=TURN)))
        assert NEEDLESS_RELAY not in core.timers

    def test_is_done_without_if_each_side_was_told_where_the_other_can_be_reached(self) -> None:
        core = connected()
        theirs = replace(self.REFLEXIVE, candidate=self.REFLEXIVE.candidate.replace("ufrag l2", "ufrag r1"))
        core.peer_says(replace(theirs, username_fragment="r1"))
        core.do(events.LocalCandidate(self.REFLEXIVE, TURN))
        core.do(events.StatsSampled(stats_of(("l2", "r1"), candidateType="relay", relayProtocol="udp", url=TURN)))
        assert core.timers[NEEDLESS_RELAY] == NEEDLESS_RELAY_AFTER

    @pytest.mark.parametrize("was_told", [False, True])
    def test_is_left_to_the_impolite_side_unless_it_cannot_know(self, *, was_told: bool) -> None:
        core = connected()
        assert core.session.connection
        core.session.connection.negotiation.polite = True
        theirs = replace(self.REFLEXIVE, candidate=self.REFLEXIVE.candidate.replace("ufrag l2", "ufrag r1"))
        core.peer_says(replace(theirs, username_fragment="r1"))
        core.do(events.LocalCandidate(self.REFLEXIVE if was_told else self.RELAY, TURN))
        core.do(events.StatsSampled(stats_of(("l2", "r1"), candidateType="relay", relayProtocol="udp", url=TURN)))
        assert core.timers[NEEDLESS_RELAY] == NEEDLESS_RELAY_AFTER * (2 if was_told else 1)

    def test_is_not_looked_at_again_after_a_restart_of_the_other_side(self) -> None:
        core = self.relayed(self.RELAY)
        _, apply = core.peer_says(Description("offer", sdp("r2"), 1, 1))
        assert isinstance(apply, commands.SetRemoteDescription)
        (answer,) = core.do(events.RemoteDescriptionSet(apply.attempt, apply.description))
        assert isinstance(answer, commands.SetLocalDescription)
        core.do(events.LocalDescriptionSet(answer.attempt, events.SessionDescription("answer", sdp("l2"))))
        assert NEEDLESS_RELAY not in core.timers
        core.do(SAMPLED)
        assert NEEDLESS_RELAY not in core.timers

    def test_is_done_without_if_a_direct_path_was_left_for_it(self) -> None:
        core = connected()
        core.do(events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="udp", url=TURN)))
        assert core.timers[NEEDLESS_RELAY] == NEEDLESS_RELAY_AFTER

    @pytest.mark.parametrize("over", ["tcp", "tls"])
    def test_is_needed_where_udp_may_be_blocked(self, over: str) -> None:
        assert NEEDLESS_RELAY not in self.relayed(self.RELAY, over=over).timers

    def test_is_needed_if_the_other_side_was_told_where_to_reach_us(self) -> None:
        assert NEEDLESS_RELAY not in self.relayed(self.RELAY, self.REFLEXIVE).timers

    def test_is_what_was_asked_for_where_only_relays_are_wanted(self) -> None:
        assert NEEDLESS_RELAY not in self.relayed(self.RELAY, policy="relay").timers


class TestOneNetworkWithoutMdns:
    """Both sides have one public address, and a relay between them: only their real addresses could be direct."""

    def relayed(self, *, theirs: str = "203.0.113.1", permitted: bool = True, policy: str = "all") -> Core:
        core = connected(policy=policy)
        core.do(events.CapturePermitted(permitted))
        for address, ufrag in (("203.0.113.1", "l1"), (theirs, "r1")):
            line = f"candidate:2 1 udp 1677729535 {address} 9 typ srflx raddr 0.0.0.0 rport 0 ufrag {ufrag}"
            reflexive = Candidate(line, "0", 0, ufrag)
            if ufrag == "l1":
                core.do(events.LocalCandidate(reflexive, TURN))
            else:
                core.peer_says(reflexive)
        core.do(events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="udp", url=TURN)))
        return core

    def made(self, core: Core) -> list[bool]:
        """Return of each connection made now whether it gathers on every interface."""
        outputs = core.do(events.TimerFired(ONE_NETWORK))
        return [output.every_interface for output in outputs if isinstance(output, commands.CreatePeer)]

    def test_is_tried_with_a_connection_over_every_interface(self) -> None:
        core = self.relayed()
        assert core.timers[ONE_NETWORK] == ONE_NETWORK_AFTER
        assert self.made(core) == [True]

    def test_is_left_as_it_is_where_the_page_may_not_know_the_interfaces(self) -> None:
        assert self.made(self.relayed(permitted=False)) == []

    def test_is_not_suspected_of_two_public_addresses(self) -> None:
        assert ONE_NETWORK not in self.relayed(theirs="203.0.113.2").timers

    def test_is_what_was_asked_for_where_only_relays_are_wanted(self) -> None:
        assert self.made(self.relayed(policy="relay")) == []
