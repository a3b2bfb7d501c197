"""Relays: which a restart gathers, which is set aside, and when a session does without."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import ANY

import pytest

from pyapp.core import commands, events, provisioning
from pyapp.core.diagnostics.journal import Note
from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.events import Event, PeerEvent
from pyapp.core.negotiation import restarts
from pyapp.core.negotiation.negotiation import ToPeer
from pyapp.core.negotiation.restarts import SETTLES_WITHIN
from pyapp.core.path import recovery
from pyapp.core.path.facts import PeerLost, ReplacementWanted, SparesWanted
from pyapp.core.path.heartbeat import Pulse
from pyapp.core.path.ladder import LADDER, Rung
from pyapp.core.path.outage import Suspect
from pyapp.core.path.recovery import ATTEMPT, SETTLE
from pyapp.core.path.relaying import (
    ATTEMPTS_WITHOUT_PEER,
    NEEDLESS_RELAY,
    NEEDLESS_RELAY_AFTER,
    ONE_NETWORK,
    ONE_NETWORK_AFTER,
)
from pyapp.core.path.relays import DIRECT, FIRST_DIRECT_AFTER, RELEASE, RELEASE_AFTER, Relays
from pyapp.core.timers import Timer
from pyapp.protocol.channel import Beat
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.peer import (
    Candidate,
    Description,
    PeerMessage,
    RelaySuspected,
    RestartWanted,
)
from pyapp.protocol.signaling import Welcome
from tests.unit.pyapp.core.path.test_recovery import (
    CERTAIN,
    RELAYED,
    STUN,
    TURN_ONE,
    TURN_TWO,
    TWO_RELAYS,
    outage,
    relayed,
    suspicious,
)
from tests.unit.pyapp.core.test_session import (
    CONFIGURATION,
    DISCONNECTED,
    FETCH,
    RESTART,
    SAMPLED,
    TURN,
    B,
    Core,
    IceConfigured,
    Opened,
    Said,
    beside_beats,
    connected,
    connecting,
    lost,
    offer_set,
    sent,
)
from tests.unit.pyapp.fakes import sdp, stats_of
from tests.unit.pyapp.parts import ONE, Around, Parts, report


def urls(configuration: IceConfiguration) -> list[str]:
    return [url for server in configuration.servers for url in server.urls]


class TestASessionWhoseRelayDied:
    def test_ranks_it_last_and_the_others_twice_and_asks_for_spares(self) -> None:
        core = relayed()
        outputs = suspicious(core)
        (fetch,) = (output for output in outputs if isinstance(output, commands.FetchIceConfiguration))
        assert fetch.avoid == ("one.example",)
        for output in outputs:
            if isinstance(output, commands.SetConfiguration):
                assert urls(output.configuration) == [STUN, TURN_TWO, TURN_TWO, TURN_ONE]
        assert commands.RestartIce() in outputs

    def test_tells_the_other_side_which(self) -> None:
        assert RelaySuspected(TURN_ONE) in sent(suspicious(relayed()))

    def test_does_so_too_when_the_other_side_says_so(self) -> None:
        core = relayed()
        outputs = core.peer_says(RelaySuspected(TURN_TWO))
        (configured,) = (output for output in outputs if isinstance(output, commands.SetConfiguration))
        assert urls(configured.configuration) == [STUN, TURN_ONE, TURN_ONE, TURN_TWO]
        assert commands.RestartIce() not in outputs

    @pytest.mark.parametrize(("silence", "is_blamed"), [(0.4, True), (0.05, False)])
    def test_sets_it_aside_before_it_answers_the_other_side_that_noticed_first(
        self, silence: float, *, is_blamed: bool
    ) -> None:
        core = relayed()
        core.do(events.ChannelReceived("heartbeat", Pulse().next_beat(core.now, due=0.1, generation=0).encode()))
        core.now += silence
        outputs = core.peer_says(Description("offer", sdp("r2"), 1, 1))
        before = itertools.takewhile(lambda output: not isinstance(output, commands.SetRemoteDescription), outputs)
        *_, ranked = [urls(output.configuration) for output in before if isinstance(output, commands.SetConfiguration)]
        assert ranked == ([STUN, TURN_TWO, TURN_TWO, TURN_ONE] if is_blamed else [STUN, TURN_ONE, TURN_TWO])
        assert (RelaySuspected(TURN_ONE) in sent(outputs)) is is_blamed

    def test_does_not_blame_it_for_a_change_of_its_own_network(self) -> None:
        core = relayed()
        core.do(CERTAIN)
        outputs = core.do(events.TimerFired(SETTLE))
        assert not any(isinstance(output, commands.FetchIceConfiguration) for output in outputs)
        assert sent(outputs) == []

    def test_of_which_the_browser_does_not_say_the_url_restarts_all_the_same(self) -> None:
        core = relayed()
        core.do(events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="udp")))
        assert commands.RestartIce() in suspicious(core)

    def test_takes_no_harm_from_what_is_no_relay(self) -> None:
        core = relayed()
        core.peer_says(RelaySuspected("turn:not a host"))
        assert core.state == "connected"

    def test_gets_over_all_of_them_dying(self) -> None:
        core = relayed()
        core.peer_says(RelaySuspected(TURN_TWO))
        outputs = suspicious(core)
        configured = [output for output in outputs if isinstance(output, commands.SetConfiguration)]
        assert set(urls(configured[-1].configuration)) == {STUN, TURN_ONE, TURN_TWO}


class TestCredentials:
    def test_that_were_renewed_while_relayed_are_moved_to(self) -> None:
        core = relayed()
        assert core.do(events.TimerFired(provisioning.RENEW)) == [FETCH]
        *configured, restart = core.do(IceConfigured(TWO_RELAYS))
        assert set(configured) == {commands.SetConfiguration(TWO_RELAYS)}
        assert restart == commands.RestartIce()

    def test_that_were_renewed_while_direct_need_no_restart(self) -> None:
        core = connected()
        core.do(events.TimerFired(provisioning.RENEW))
        assert core.do(IceConfigured(TWO_RELAYS)) == [commands.SetConfiguration(TWO_RELAYS)]

    def test_that_come_with_spares_do_not_put_off_those_of_the_relay_in_use(self) -> None:
        core = relayed()
        assert core.timers[provisioning.RENEW] == 450.0
        core.now += 400.0
        core.peer_says(RelaySuspected(TURN_TWO))
        core.do(IceConfigured(TWO_RELAYS))
        assert core.timers[provisioning.RENEW] == pytest.approx(50.0)

    def test_that_were_renewed_in_an_outage_are_moved_to_after_it(self) -> None:
        core = relayed()
        core.do(events.ChannelReceived("heartbeat", Beat(1, 1, 0, 100, 0).encode()))
        suspicious(core)
        core.do(events.TimerFired(provisioning.RENEW), IceConfigured(TWO_RELAYS))
        assert core.session.connection
        echo = core.session.connection.recovery.pulse.number
        core.do(events.ChannelReceived("heartbeat", Beat(2, echo, 0, 100, 0).encode()))
        outputs = core.do(events.TimerFired(ATTEMPT))
        assert core.session.connection.recovery.is_healthy
        assert commands.RestartIce() in outputs + core.do(events.TimerFired(restarts.TIMER))

    def test_that_expired_while_the_machine_slept_are_asked_for_and_tried_at_once(self) -> None:
        core = connected()
        core.now += 4000.0
        outputs = suspicious(core)
        assert FETCH in outputs
        outputs = core.do(IceConfigured(TWO_RELAYS))
        assert [type(output) for output in outputs] == [commands.SetConfiguration, commands.RestartIce]
        assert commands.RestartIce() not in core.do(IceConfigured(TWO_RELAYS))

    def test_that_come_with_the_spares_of_a_dead_relay_make_no_second_restart(self) -> None:
        core = relayed()
        suspicious(core)
        assert commands.RestartIce() not in core.do(IceConfigured(TWO_RELAYS))

    def test_are_moved_to_also_after_another_relay_died(self) -> None:
        core = relayed()
        core.peer_says(RelaySuspected(TURN_TWO))
        core.do(IceConfigured(TWO_RELAYS))
        core.do(events.TimerFired(provisioning.RENEW))
        assert commands.RestartIce() in core.do(IceConfigured(TWO_RELAYS))


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


def answering(core: Core, outputs: list[Said]) -> IceConfiguration:
    """Return the configuration with which `outputs` begin the answer to a restart."""
    *_, configured, apply = (
        output for output in outputs if isinstance(output, commands.SetConfiguration | commands.SetRemoteDescription)
    )
    assert isinstance(configured, commands.SetConfiguration)
    assert isinstance(apply, commands.SetRemoteDescription)
    return configured.configuration


class TestTheAnswerToARestart:
    """One relay is enough, and the offer's is on its way: each of ours is one more pair to check before that."""

    WITHOUT = CONFIGURATION.without_relays()

    @staticmethod
    def restarted(core: Core, generation: int) -> IceConfiguration:
        """Take the other side's offer, answer it, and return the configuration with which that gathers."""
        outputs = core.peer_says(Description("offer", sdp(f"r{generation + 1}"), generation, generation))
        result = answering(core, outputs)
        (apply,) = (output for output in outputs if isinstance(output, commands.SetRemoteDescription))
        (answer,) = core.do(events.RemoteDescriptionSet(apply.attempt, apply.description))
        assert isinstance(answer, commands.SetLocalDescription)
        described = events.SessionDescription("answer", sdp(f"l{generation + 1}"))
        assert sent(core.do(events.LocalDescriptionSet(answer.attempt, described)))
        return result

    @staticmethod
    def prove(core: Core, generation: int) -> None:
        """Let both ends see that it is at work."""
        path = (f"l{generation + 1}", f"r{generation + 1}")
        beat = Pulse().next_beat(core.now, due=0.1, generation=generation).encode()
        core.do(events.StatsSampled(stats_of(path)), events.ChannelReceived("heartbeat", beat))

    @staticmethod
    def over(local: str, remote: str, **changes: Any) -> Core:
        """Return one whose path has candidates of these types."""
        core = connected(**changes)
        entries = stats_of(("l1", "r1"), candidateType=local, relayProtocol="udp", url=TURN)
        entries["R"]["candidateType"] = remote
        core.do(events.StatsSampled(entries))
        return core

    @pytest.mark.parametrize(
        ("local", "remote"), [("host", "host"), ("srflx", "prflx"), ("host", "relay"), ("relay", "relay")]
    )
    def test_gathers_no_relays_at_first(self, local: str, remote: str) -> None:
        assert self.restarted(self.over(local, remote), 1) == self.WITHOUT

    def test_gathers_them_if_ours_alone_carries_the_path(self) -> None:
        """Then the other side may have none that we can reach."""
        assert self.restarted(self.over("relay", "srflx"), 1) == CONFIGURATION

    def test_gathers_them_where_only_relays_are_wanted(self) -> None:
        core = connected(policy="relay")
        assert self.restarted(core, 1) == replace(CONFIGURATION, policy="relay")

    def test_gathers_them_if_the_first_one_brought_no_path(self) -> None:
        core = connected()
        assert [self.restarted(core, generation) for generation in (1, 2, 3)] == [
            self.WITHOUT,
            CONFIGURATION,
            CONFIGURATION,
        ]

    def test_gathers_none_again_once_the_last_one_is_at_work_at_both_ends(self) -> None:
        core = connected()
        for generation in (1, 2):
            self.restarted(core, generation)
        core.do(events.StatsSampled(stats_of(("l3", "r3"))))
        assert core.session.connection
        assert not core.session.connection.restarts.is_proven, "the other end may not have seen it"
        self.prove(core, 2)
        assert self.restarted(core, 3) == self.WITHOUT

    def test_asks_relays_over_udp_for_reflexive_addresses_all_the_same(self) -> None:
        core = connected()
        udp = "turn:turn.example.org:3478?transport=udp"
        two = replace(CONFIGURATION, servers=(*CONFIGURATION.servers, IceServer((udp,), "user", "the-credential")))
        core.do(IceConfigured(two))
        assert [server.urls for server in self.restarted(core, 1).servers] == [("stun:turn.example.org:3478",)]

    def test_to_an_offer_that_is_no_restart_leaves_the_configuration_alone(self) -> None:
        outputs = connected().peer_says(Description("offer", sdp("r1", media=2), 1, 0))
        assert not any(isinstance(output, commands.SetConfiguration) for output in outputs)

    def test_is_none_to_an_offer_that_crosses_ours_and_leaves_our_relays_alone(self) -> None:
        core = connected()  # the impolite side
        core.do(events.RestartRequested(), events.NegotiationNeeded())
        assert core.peer_says(Description("offer", sdp("r2"), 1, 1)) == []
        core.do(offer_set("l2", 3))
        assert core.peer_says(Description("offer", sdp("r2"), 1, 1)) == []
        # Nor was it answered: the first answer is still to come.
        (apply,) = core.peer_says(Description("answer", sdp("r2"), 2, 1))
        assert isinstance(apply, commands.SetRemoteDescription)
        core.do(events.RemoteDescriptionSet(apply.attempt, apply.description))
        assert self.restarted(core, 2) == self.WITHOUT

    def test_gathers_none_also_if_our_relay_in_use_is_suspected(self) -> None:
        core = self.over("relay", "relay")
        core.do(events.ChannelReceived("heartbeat", Pulse().next_beat(core.now, due=0.1, generation=0).encode()))
        core.now += 0.4
        outputs = core.peer_says(Description("offer", sdp("r2"), 1, 1))
        assert RelaySuspected(TURN) in sent(outputs)
        assert answering(core, outputs) == self.WITHOUT

    @pytest.mark.parametrize("rung", ["relay-only", "tcp-only"])
    def test_gathers_what_is_being_tried_if_it_was_asked_for(self, rung: Rung) -> None:
        """The side whose browser differs has the offers of its own restarts made by the other one."""
        core = connected()
        assert core.session.connection
        agreed, health = core.session.connection.negotiation, core.session.connection.recovery
        agreed._origin, agreed._remote_origin, agreed._has_answered_first = "-", "mozilla", True
        core.now += 3.0
        core.do(DISCONNECTED)
        assert isinstance(health.state, Suspect)
        health.state.ladder.attempts = LADDER.index(rung)
        assert core.session.place
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now = core.now + 1.0
        tried = core.do(events.TimerFired(recovery.ATTEMPT))
        assert RestartWanted() in sent(tried)
        (configured,) = (output for output in tried if isinstance(output, commands.SetConfiguration))
        outputs = core.peer_says(Description("offer", f"{sdp('r2')}o=mozilla 1\r\n", 1, 1))
        given = [configured, *(output for output in outputs if isinstance(output, commands.SetConfiguration))]
        assert given[-1] == configured

    def test_to_the_first_offer_of_a_connection_gathers_as_it_was_made(self) -> None:
        core = connecting()
        core.do(IceConfigured(CONFIGURATION), Opened(), Welcome(polite=True, peer=B))
        outputs = core.peer_says(Description("offer", sdp("r1"), 1, 1))
        assert not any(isinstance(output, commands.SetConfiguration) for output in outputs)

    @pytest.mark.parametrize("event", [events.RestartRequested(), DISCONNECTED, RestartWanted()], ids=repr)
    def test_is_followed_by_a_restart_of_ours_with_them(self, event: Event | PeerEvent | PeerMessage) -> None:
        core = connected()
        assert self.restarted(core, 1) == self.WITHOUT
        core.now += SETTLES_WITHIN  # without a beat: the browser's bad news is believed
        outputs = core.do(event) if isinstance(event, Event | PeerEvent) else core.peer_says(event)
        *_, configured, restart = (
            output for output in outputs if isinstance(output, commands.SetConfiguration | commands.RestartIce)
        )
        assert configured == commands.SetConfiguration(CONFIGURATION)
        assert restart == commands.RestartIce()

    def test_is_followed_by_a_restart_of_ours_with_them_that_waited_for_it(self) -> None:
        core = connected()
        self.restarted(core, 1)
        assert core.do(events.RestartRequested()) == []
        self.prove(core, 1)
        assert core.do(events.TimerFired(restarts.TIMER)) == RESTART


class TestTheRelaysOfADirectConnection:
    """Only an ICE restart makes a browser give them up."""

    LEAN = commands.SetConfiguration(CONFIGURATION.without_relays())
    FULL = commands.SetConfiguration(CONFIGURATION)

    def released(self) -> Core:
        core = connected()
        assert core.timers[RELEASE] == RELEASE_AFTER
        # The heartbeat is there to say that the path is well.
        core.do(events.ChannelReceived("heartbeat", Pulse().next_beat(core.now, due=0.1, generation=0).encode()))
        assert beside_beats(core.do(events.TimerFired(RELEASE))) == [self.LEAN, commands.RestartIce()]
        core.do(events.NegotiationNeeded())
        (offer,) = sent(core.do(offer_set("l2", 3)))
        assert isinstance(offer, Description)
        assert not offer.relays
        (answer,) = core.peer_says(Description("answer", sdp("r2"), 2, 1, relays=False))
        assert isinstance(answer, commands.SetRemoteDescription)
        core.do(events.RemoteDescriptionSet(answer.attempt, answer.description))
        return core

    def test_are_given_up_after_a_while_and_once(self) -> None:
        core = self.released()
        core.do(SAMPLED)
        assert RELEASE not in core.timers

    def test_are_given_up_by_the_other_side_as_well(self) -> None:
        core = connected()
        outputs = core.peer_says(Description("offer", sdp("r2"), 1, 1, relays=False))
        assert outputs[:2] == [self.LEAN, commands.SetRemoteDescription(ANY, ANY)]
        assert isinstance(outputs[1], commands.SetRemoteDescription)
        (set_local,) = core.do(events.RemoteDescriptionSet(outputs[1].attempt, outputs[1].description))
        assert isinstance(set_local, commands.SetLocalDescription)
        described = events.SessionDescription("answer", sdp("l2"))
        (answer,) = sent(core.do(events.LocalDescriptionSet(set_local.attempt, described)))
        assert isinstance(answer, Description)
        assert not answer.relays

    def test_are_back_with_the_other_sides_restart_that_asks_for_them(self) -> None:
        core = self.released()
        # At first with the relays of its offer alone; if that brings nothing, with ours as well.
        outputs = core.peer_says(Description("offer", sdp("r3"), 1, 2))
        assert outputs[:2] == [self.LEAN, commands.SetRemoteDescription(ANY, ANY)]
        assert core.session.connection
        assert core.session.connection.negotiation.gathers_relays
        outputs = core.peer_says(Description("offer", sdp("r4"), 2, 3))
        assert outputs[:2] == [self.FULL, commands.SetRemoteDescription(ANY, ANY)]

    @pytest.mark.parametrize("event", [DISCONNECTED, events.RestartRequested()])
    def test_are_back_with_the_first_restart_that_has_another_reason(self, event: Event) -> None:
        core = self.released()
        core.now += SETTLES_WITHIN  # without a beat: the browser's bad news is believed
        outputs = core.do(event)
        assert outputs.index(self.FULL) < outputs.index(commands.RestartIce())
        core.do(events.NegotiationNeeded())
        (offer,) = sent(core.do(offer_set("l3", 5)))
        assert isinstance(offer, Description)
        assert offer.relays

    def test_stay_while_anything_else_goes_on(self) -> None:
        core = lost()
        assert core.do(events.TimerFired(RELEASE)) == []

    def test_stay_if_they_are_in_use(self) -> None:
        core = connected()
        core.do(events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="udp", url=TURN)))
        assert core.do(events.TimerFired(RELEASE)) == []

    def test_are_none_where_no_server_relays(self) -> None:
        core = connected()
        core.do(IceConfigured(replace(CONFIGURATION, servers=())))
        assert core.do(events.TimerFired(RELEASE)) == []


def servers(outputs: Sequence[object]) -> list[IceConfiguration]:
    return [output.configuration for output in outputs if isinstance(output, commands.SetConfiguration)]


def begun(outputs: Sequence[object]) -> bool:
    return commands.RestartIce() in outputs


class TestAnAttempt:
    def test_of_a_new_connection_leaves_this_one_alone(self) -> None:
        outputs = Parts().relaying.attempt("new-connection", 6, 1.0)
        assert outputs[-1] == ReplacementWanted()
        assert not servers(outputs)
        assert not begun(outputs)

    @pytest.mark.parametrize(("rung", "policy"), [("restart", "all"), ("relay-only", "relay"), ("tcp-only", "relay")])
    def test_gathers_what_its_rung_says(self, rung: Rung, policy: str) -> None:
        (configured,) = servers(outputs := Parts().relaying.attempt(rung, 1, 1.0))
        assert configured.policy == policy
        assert begun(outputs)

    def test_gathers_relays_though_they_were_given_up(self) -> None:
        parts = Parts(report())
        parts.agreed.gathers_relays = False
        (configured,) = servers(parts.relaying.attempt("restart", 1, 1.0))
        assert configured.relay_hosts
        assert parts.agreed.gathers_relays, "and has the other side do so, too"

    def test_asks_for_credentials_if_ours_are_too_old(self) -> None:
        assert SparesWanted() not in Parts().relaying.attempt("restart", 1, 599.0)
        assert SparesWanted() in Parts().relaying.attempt("restart", 1, 600.0)

    @pytest.mark.parametrize("rung", ["restart", "new-connection"])
    def test_gives_up_whoever_the_server_gave_up_and_no_sooner(self, rung: Rung) -> None:
        parts = Parts(outside=Around(peer_is_away=True))
        assert PeerLost() not in parts.relaying.attempt(rung, ATTEMPTS_WITHOUT_PEER, 1.0)
        assert parts.relaying.attempt(rung, ATTEMPTS_WITHOUT_PEER + 1, 1.0) == [PeerLost()]

    def test_gives_nobody_up_who_is_there(self) -> None:
        assert PeerLost() not in Parts().relaying.attempt("restart", 99, 1.0)


class TestBlame:
    def test_is_for_our_own_relay_alone(self) -> None:
        assert Parts(report("relay")).relaying.blame()[-1] == ToPeer(RelaySuspected(ONE))
        for innocent in (None, report(), report("host", "relay"), report("relay", url="")):
            assert Parts(innocent).relaying.blame() == []

    def test_is_told_also_of_one_that_is_set_aside_already(self) -> None:
        """What we said of it before may be lost."""
        parts = Parts(report("relay"))
        parts.relaying.blame()
        assert parts.relaying.blame()[-1] == ToPeer(RelaySuspected(ONE))

    @pytest.mark.parametrize("url", ["", "turn:", "http://one.example", "turn:one.example:99999"])
    def test_for_what_is_no_relay_is_for_nobody(self, url: str) -> None:
        parts = Parts()
        assert parts.relaying.suspect(url) == []
        assert not parts.relays.suspected


class TestARelayThatAnswersAgain:
    RELAY = Candidate("candidate:1 1 udp 1 203.0.113.9 9 typ relay raddr 0.0.0.0 rport 0", "0", 0, "l1")
    REFLEXIVE = Candidate("candidate:2 1 udp 2 203.0.113.1 9 typ srflx raddr 0.0.0.0 rport 0", "0", 0, "l1")

    def suspected(self) -> Parts:
        parts = Parts()
        parts.relays.set_aside(ONE)
        return parts

    def test_is_well_and_that_is_noted_once(self) -> None:
        parts = self.suspected()
        (noted,) = parts.relaying.gathered(self.RELAY, ONE)
        assert isinstance(noted, Note)
        assert noted.event == "relay-well"
        assert parts.relaying.gathered(self.RELAY, ONE) == []
        assert not parts.relays.suspected

    def test_is_not_known_for_well_by_an_address_or_without_its_url(self) -> None:
        """A server that is asked for an address may be one that cannot relay any more."""
        parts = self.suspected()
        assert parts.relaying.gathered(self.REFLEXIVE, ONE) == []
        assert parts.relaying.gathered(self.RELAY, "") == []
        assert parts.relays.suspected

    def test_is_not_known_for_well_in_the_outage_in_which_it_went_silent(self) -> None:
        parts = self.suspected()
        parts.health.suspect("silence", 1.0)
        assert parts.relaying.gathered(self.RELAY, ONE) == []
        assert parts.relays.suspected


class TestARenewalInAnOutage:
    def outage(self, now: float) -> Parts:
        parts = Parts(report("relay"))
        parts.health.suspect("silence", now)
        parts.relaying.attempt("restart", 1, now)
        return parts

    def test_waits_for_its_end_and_is_told_once(self) -> None:
        parts = self.outage(1.0)
        assert not begun(parts.relaying.configured(is_renewal=True))
        assert parts.relaying.recovered()
        assert not parts.relaying.recovered()

    def test_does_not_wait_if_the_next_attempt_takes_it(self) -> None:
        parts = self.outage(1.0)
        parts.relaying.configured(is_renewal=True)
        parts.relaying.attempt("restart", 2, 2.0)
        assert not parts.relaying.recovered()

    def test_is_not_forgotten_for_spares_that_come_after_it(self) -> None:
        parts = self.outage(1.0)
        parts.relaying.configured(is_renewal=True)
        parts.relaying.configured(is_renewal=False)
        assert parts.relaying.recovered()

    def test_is_tried_at_once_if_there_was_nothing_valid_to_try(self) -> None:
        parts = self.outage(601.0)
        assert begun(parts.relaying.configured(is_renewal=True))
        assert not begun(parts.relaying.configured(is_renewal=True))

    def test_is_none_while_all_is_well(self) -> None:
        parts = Parts(report("relay"))
        assert not begun(parts.relaying.configured(is_renewal=True))
        assert not parts.relaying.recovered()


class TestAReview:
    def timers(self, parts: Parts, path: PathReport) -> dict[Timer, float]:
        outputs = parts.relaying.review(path)
        return {output.timer: output.after for output in outputs if isinstance(output, commands.StartTimer)}

    def test_leaves_what_both_sides_may_see_to_the_impolite_one(self) -> None:
        path = report("relay")
        assert DIRECT in self.timers(Parts(path), path)
        assert DIRECT not in self.timers(Parts(path, polite=True), path)
        assert RELEASE in self.timers(Parts(report()), report())
        assert RELEASE not in self.timers(Parts(report(), polite=True), report())

    def test_gives_relays_up_that_are_gathered_and_no_others(self) -> None:
        parts = Parts(report())
        parts.agreed.gathers_relays = False
        assert RELEASE not in self.timers(parts, report())

    def test_finds_a_direct_path_once_until_the_next_outage(self) -> None:
        path = report("relay")
        parts = Parts(path)
        self.timers(parts, report())  # there was one
        assert NEEDLESS_RELAY in self.timers(parts, path)
        assert NEEDLESS_RELAY not in self.timers(parts, path)
        parts.relaying.recovered()
        assert NEEDLESS_RELAY in self.timers(parts, path)


class TestARelayOnOneNetwork:
    def test_is_left_for_a_connection_over_every_interface(self) -> None:
        assert ReplacementWanted(every_interface=True) in Parts(report("relay")).relaying.take_every_interface()

    @pytest.mark.parametrize(
        "parts",
        [
            Parts(report()),
            Parts(report("relay"), capture_permitted=False),
            Parts(report("relay"), outside=Around(signaling_is_there=False)),
            Parts(report("relay"), relays=Relays(policy="relay")),
        ],
        ids=["direct", "not-permitted", "no-server", "relays-only"],
    )
    def test_stays_as_it_is(self, parts: Parts) -> None:
        assert parts.relaying.take_every_interface() == []

    def test_stays_as_it_is_in_an_outage(self) -> None:
        parts = Parts(report("relay"))
        parts.health.suspect("silence", 1.0)
        assert parts.relaying.take_every_interface() == []
        assert not begun(parts.relaying.look_for_direct_path(1.0))
