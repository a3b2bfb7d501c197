"""The connection as a session has one: its candidates and standby. Its parts have tests of their own."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pyapp.core import commands, events, provisioning
from pyapp.core.commands import PeerCommand
from pyapp.core.events import Event, PeerEvent
from pyapp.core.path import recovery, standby
from pyapp.core.path.heartbeat import Pulse
from pyapp.protocol.channel import Beat, Frame, Piece, encode_frame
from pyapp.protocol.ice import IceServer, parse_candidate
from pyapp.protocol.peer import Description, StandbyDescription
from pyapp.protocol.signaling import PeerLeft, ServerMessage
from pyapp.view.console import present
from tests.unit.pyapp.fakes import sdp, stats_of
from tests.unit.pyapp.sessions import (
    CONFIGURATION,
    DISCONNECTED,
    GATHERED,
    OTHER_TURN,
    SAMPLED,
    TURN,
    B,
    Closed,
    Core,
    IceConfigured,
    Said,
    connected,
    sent,
)


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


@pytest.mark.parametrize(("remote", "waits"), [("-", True), ("mozilla", False)])
def test_a_polite_side_waits_only_for_an_offer_that_may_come(remote: str, *, waits: bool) -> None:
    connection = connected().session.connection
    assert connection is not None
    connection.recovery.vitals.polite = True
    connection.negotiation._origin, connection.negotiation._remote_origin = "-", remote
    assert connection.recovery.vitals.concedes is waits


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
