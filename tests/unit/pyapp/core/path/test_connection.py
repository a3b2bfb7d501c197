"""The connection as a session has one: its candidates, relays and standby. Its parts have tests of their own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import ANY

import pytest

from pyapp.core import commands, events, provisioning
from pyapp.core.commands import PeerCommand
from pyapp.core.events import Event, PeerEvent
from pyapp.core.negotiation import restarts
from pyapp.core.negotiation.restarts import SETTLES_WITHIN
from pyapp.core.path import recovery, standby
from pyapp.core.path.heartbeat import Pulse
from pyapp.core.path.ladder import LADDER, Rung
from pyapp.core.path.observation import KEEP_CHECKING, KEEP_CHECKING_AFTER
from pyapp.core.path.outage import Suspect
from pyapp.core.path.relaying import NEEDLESS_RELAY, NEEDLESS_RELAY_AFTER, ONE_NETWORK, ONE_NETWORK_AFTER
from pyapp.core.path.relays import RELEASE, RELEASE_AFTER
from pyapp.protocol.channel import Beat, Frame, Piece, encode_frame
from pyapp.protocol.ice import IceConfiguration, IceServer, parse_candidate
from pyapp.protocol.peer import (
    Candidate,
    Description,
    PeerMessage,
    RelaySuspected,
    RestartWanted,
    StandbyDescription,
)
from pyapp.protocol.signaling import PeerLeft, ServerMessage, Welcome
from pyapp.view.console import present
from tests.unit.pyapp.core.test_session import (
    CONFIGURATION,
    DISCONNECTED,
    GATHERED,
    OTHER_TURN,
    RESTART,
    SAMPLED,
    TURN,
    B,
    Closed,
    Core,
    IceConfigured,
    Opened,
    Said,
    beside_beats,
    connected,
    connecting,
    lost,
    negotiated,
    offer_set,
    sent,
)
from tests.unit.pyapp.fakes import sdp, stats_of


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


class TestTheOtherSidesRestart:
    """Our answer begins a restart of ours, too."""

    def test_is_not_followed_by_one_of_ours_for_a_silence_of_the_same_outage(self) -> None:
        core = connected()
        core.peer_restarts()
        assert core.session.connection
        core.do(events.ChannelReceived("heartbeat", Pulse().next_beat(core.now, due=0.1, generation=0).encode()))
        outputs: list[Said] = []
        while not core.session.connection.recovery.is_suspect:
            core.now += core.timers[recovery.SILENCE]
            outputs += core.do(events.TimerFired(recovery.SILENCE))
            core.now += 0.01
            core.do(SAMPLED)
        assert commands.RestartIce() not in outputs


class TestTheirCandidatesAfterARestart:
    HOST = "candidate:1 1 udp 2122252543 192.0.2.7 9 typ host"

    def worth(self, selected: int, *, is_firefox: bool = False) -> int:
        """Return the priority of `HOST` as it is handed over while the lower one of the selected pair is `selected`."""
        core = connected(is_firefox=is_firefox)
        entries = stats_of(("l1", "r1"))
        # RFC 8445, section 6.1.2.3.
        entries["l1-r1"]["priority"] = (selected << 32) + 2 * 2_122_252_543
        core.do(events.StatsSampled(entries))
        outputs = core.peer_says(Description("offer", f"{sdp('r2')}a={self.HOST}\r\n", 1, 1))
        (apply,) = (output for output in outputs if isinstance(output, commands.SetRemoteDescription))
        return parse_candidate(apply.description.sdp.rpartition("a=")[2]).priority

    def test_are_worth_more_than_the_selected_pair(self) -> None:
        peer_reflexive = (110 << 24) + 65_535
        assert 64 < self.worth(64) < 8191 < peer_reflexive < self.worth(peer_reflexive)

    def test_are_worth_what_they_say_to_firefox(self) -> None:
        assert self.worth(1, is_firefox=True) == parse_candidate(self.HOST).priority


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


def _kept_checking(outputs: list[Said]) -> bool:
    return any(isinstance(output, commands.KeepChecking) for output in outputs)


def _selected(priority: int) -> events.StatsSampled:
    entries = stats_of(("l1", "r1"))
    entries["l1-r1"]["priority"] = (priority << 32) + 2 * 2_122_252_543
    return events.StatsSampled(entries)


class TestTheBrowser:
    """It keeps checking on a path that works, so that the next one is not found late."""

    def test_is_asked_to_keep_checking_when_a_generation_has_paired_its_candidates(self) -> None:
        core = connected()
        assert core.timers.pop(KEEP_CHECKING) == KEEP_CHECKING_AFTER
        assert not _kept_checking(core.do(_selected(41)))
        # What is known of the pair may be of the generation before.
        assert core.do(events.TimerFired(KEEP_CHECKING)) == [commands.SampleStats()]
        assert self.asked(core, 62) == [63]
        core.peer_restarts()
        assert core.timers[KEEP_CHECKING] == KEEP_CHECKING_AFTER

    def test_is_asked_anew_when_a_pair_is_selected_that_is_worth_more(self) -> None:
        core = connected()
        core.do(events.TimerFired(KEEP_CHECKING))
        assert self.asked(core, 62) == [63]
        assert self.asked(core, 62) == []
        assert self.asked(core, 42) == []
        assert self.asked(core, 63) == [64]

    def asked(self, core: Core, selected: int) -> list[int]:
        """Return the priorities of the candidates that keep it checking once the pair is worth `selected`."""
        return [output.priority for output in core.do(_selected(selected)) if isinstance(output, commands.KeepChecking)]

    def test_is_not_asked_during_an_outage_or_an_exchange(self) -> None:
        core = lost()
        assert not _kept_checking(core.do(events.TimerFired(KEEP_CHECKING)))
        assert core.timers[KEEP_CHECKING] == KEEP_CHECKING_AFTER
        core = connected()
        core.do(events.NegotiationNeeded())
        assert not _kept_checking(core.do(events.TimerFired(KEEP_CHECKING)))
        assert core.timers[KEEP_CHECKING] == KEEP_CHECKING_AFTER

    def test_is_left_to_fail_as_long_as_there_was_no_connection(self) -> None:
        assert KEEP_CHECKING not in negotiated().timers


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


def relayed(*, setting: bool = True, polite: bool = False, remote: str = "host", **local: str) -> Core:
    """Return one that is connected over our relay, with the setting for a standby."""
    core = connected()
    assert core.session.connection is not None
    core.session.connection.negotiation.polite = core.session.connection.standby.polite = polite
    two = replace(CONFIGURATION, servers=(*CONFIGURATION.servers, IceServer((OTHER_TURN,), "user", "the-credential")))
    core.do(IceConfigured(replace(two, standby=setting)))
    core.do(over_relay(remote=remote, **local))
    return core


def over_relay(*, remote: str = "host", **local: str) -> PeerEvent:
    entries = stats_of(("l1", "r1"), **({"candidateType": "relay", "relayProtocol": "tls", "url": TURN} | local))
    entries["R"]["candidateType"] = remote
    return events.StatsSampled(entries)


def with_standby() -> Core:
    core = relayed()
    core.do(events.TimerFired(standby.TIMER))
    core.do(aside(core, OFFERED))
    core.peer_says(StandbyDescription("answer", GATHERED, core.standby))
    core.do(aside(core, events.ChannelOpened("standby")))
    return core


OFFERED = events.LocalCandidatesEnded(events.SessionDescription("offer", GATHERED))
CONNECTION_FAILED = events.StateChanged("connection", "failed")


def aside(core: Core, event: PeerEvent) -> events.OfPeer:
    """Return what happens to the standby."""
    return events.OfPeer(core.standby, event)


def to_standby(core: Core, outputs: Sequence[Said]) -> list[PeerCommand]:
    """Return the commands to the standby."""
    of_peers = [output for output in outputs if isinstance(output, commands.OfPeer)]
    assert all(output.peer == core.standby for output in of_peers)
    return [output.command for output in of_peers]


def labels(outputs: Sequence[Said]) -> list[str]:
    """Return the channels that something is sent on."""
    plain = [output.command if isinstance(output, commands.OfPeer) else output for output in outputs]
    return [output.label for output in plain if isinstance(output, commands.SendOnChannel)]


class TestStandby:
    def test_is_offered_a_little_after_the_path_turned_out_to_be_relayed(self) -> None:
        core = relayed()
        assert core.timers[standby.TIMER] == standby.OPEN_AFTER
        create, describe = to_standby(core, core.do(events.TimerFired(standby.TIMER)))
        assert isinstance(create, commands.CreatePeer)
        assert [server.urls for server in create.configuration.servers] == [(OTHER_TURN,)]
        assert describe == commands.SetLocalDescription(1)
        described = core.do(aside(core, OFFERED))
        assert sent(described) == [StandbyDescription("offer", GATHERED, core.standby, TURN)]
        answer = core.peer_says(StandbyDescription("answer", GATHERED, core.standby))
        accept = commands.SetRemoteDescription(2, events.SessionDescription("answer", GATHERED))
        assert to_standby(core, answer) == [accept]

    @pytest.mark.parametrize(
        "core",
        [
            relayed(setting=False),
            relayed(candidateType="host"),
            relayed(url=""),
            relayed(polite=True, remote="relay"),
        ],
        ids=["setting-off", "direct", "unknown-relay", "both-relayed-and-polite"],
    )
    def test_is_not_offered(self, core: Core) -> None:
        assert standby.TIMER not in core.timers
        assert core.do(events.TimerFired(standby.TIMER)) == []

    def test_is_offered_by_the_impolite_side_if_both_are_relayed(self) -> None:
        assert standby.TIMER in relayed(remote="relay").timers

    def test_is_not_offered_without_a_way_to_tell_the_other_side(self) -> None:
        core = relayed()
        core.do(Closed(1006, ""))
        assert core.do(events.TimerFired(standby.TIMER)) == []

    def test_is_answered_only_with_the_setting(self) -> None:
        offer = StandbyDescription("offer", GATHERED, 1, OTHER_TURN)
        assert relayed(setting=False, polite=True).peer_says(offer) == []
        core = relayed(polite=True, candidateType="host")
        create, apply = to_standby(core, core.peer_says(offer))
        assert isinstance(create, commands.CreatePeer)
        assert [server.urls for server in create.configuration.servers] == [(TURN,)]
        assert apply == commands.SetRemoteDescription(1, events.SessionDescription("offer", GATHERED))

    def test_is_no_channel_of_the_path_in_use(self) -> None:
        core = with_standby()
        assert to_standby(core, core.do(aside(core, events.ChannelClosed("standby")))) == [commands.ClosePeer()]
        assert core.state == "connected"
        assert core.session.connection
        assert core.session.connection.recovery.is_healthy

    def test_carries_messages_from_the_first_doubt_and_says_nothing_of_it(self) -> None:
        core = with_standby()
        core.do(events.ChannelReceived("heartbeat", Beat(1, 0, 0, 100, 0).encode()))
        core.do(events.MessageSubmitted("hello"))
        core.now += core.timers[recovery.SILENCE]
        noted = len(core.journal)
        doubted = core.do(events.TimerFired(recovery.SILENCE))
        assert labels(doubted) == ["standby", "heartbeat", "heartbeat"]
        assert (core.state, len(core.journal)) == ("connected", noted)
        core.do(events.ChannelReceived("heartbeat", Beat(2, 0, 0, 100, 0).encode()))
        again = core.do(events.MessageSubmitted("again"))
        assert labels(again) == ["messages"]

    def test_carries_messages_alone_while_the_path_is_suspect(self) -> None:
        core = with_standby()
        core.now += 3.0
        core.do(DISCONNECTED)
        told = core.do(events.MessageSubmitted("hello"))
        assert labels(told) == ["standby"]
        assert ("standby-used", {"host": "turn2.example.org"}) in core.journal
        core.do(events.TimerFired(recovery.LOST))
        assert core.state == "recovering"

    def test_brings_messages(self) -> None:
        core = with_standby()
        core.do(aside(core, events.ChannelReceived("standby", encode_frame(Frame(1, Piece("hello"), 0)))))
        assert [message.text for message in present(core.session).thread.messages] == ["hello"]

    def test_that_was_closed_brings_nothing_that_was_still_on_its_way_to_us(self) -> None:
        core = with_standby()
        late = aside(core, events.ChannelReceived("standby", encode_frame(Frame(1, Piece("hello"), 0))))
        core.do(aside(core, CONNECTION_FAILED))
        assert core.do(late) == []
        core.do(over_relay(), events.TimerFired(standby.TIMER))
        assert core.peers == {core.peer, core.standby}, "there is another one"
        assert core.do(late) == []
        assert not present(core.session).thread.messages

    def test_is_made_anew_with_renewed_credentials(self) -> None:
        core = with_standby()
        core.do(events.TimerFired(provisioning.RENEW))
        assert commands.ClosePeer() in to_standby(core, core.do(IceConfigured(core.session.relays.configuration)))

    def test_is_kept_when_a_configuration_comes_in_an_outage(self) -> None:
        core = with_standby()
        core.now += 3.0
        core.do(DISCONNECTED)
        assert to_standby(core, core.do(IceConfigured(core.session.relays.configuration))) == []

    @pytest.mark.parametrize("end", [events.HangUpRequested(), events.PageClosing(), PeerLeft(B)], ids=repr)
    def test_ends_with_the_connection(self, end: Event | ServerMessage) -> None:
        core = with_standby()
        assert commands.ClosePeer() in to_standby(core, core.do(end))
        assert standby.TIMER not in core.timers

    def test_leaves_no_secret_in_the_journal(self) -> None:
        core = with_standby()
        core.do(aside(core, CONNECTION_FAILED))
        text = repr(core.journal) + repr(core.session.journal.lines)
        assert [data["host"] for event, data in core.journal if event == "standby"] == ["turn2.example.org"] * 2
        for word in ("the-password", "the-credential", "ice-pwd"):
            assert word not in text
