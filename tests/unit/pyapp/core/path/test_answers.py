"""The answer to a restart of the other side: what it gathers, and what follows it."""

from dataclasses import replace
from typing import Any

import pytest

from pyapp.core import commands, events
from pyapp.core.events import Event, PeerEvent
from pyapp.core.negotiation import restarts
from pyapp.core.negotiation.restarts import SETTLES_WITHIN
from pyapp.core.path import recovery
from pyapp.core.path.heartbeat import Pulse
from pyapp.core.path.ladder import LADDER, Rung
from pyapp.core.path.outage import Suspect
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.peer import Description, PeerMessage, RelaySuspected, RestartWanted
from pyapp.protocol.signaling import Welcome
from tests.unit.pyapp.fakes import sdp, stats_of
from tests.unit.pyapp.sessions import (
    CONFIGURATION,
    DISCONNECTED,
    RESTART,
    TURN,
    B,
    Core,
    IceConfigured,
    Opened,
    Said,
    connected,
    connecting,
    offer_set,
    sent,
)


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
        core.now += core.timers[recovery.ATTEMPT]
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now
        tried = core.do(events.TimerFired(recovery.ATTEMPT))
        assert RestartWanted(0) in sent(tried)
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
