"""A session with its timers, driven by lists of events; and sessions that have come so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import ANY

from pyapp.core import commands, events
from pyapp.core.commands import Command, PeerCommand, TabCommand
from pyapp.core.events import Event, PeerEvent
from pyapp.core.path import probe, recovery, standby
from pyapp.core.peers import NO_PEER, PeerId
from pyapp.core.session import Session
from pyapp.core.timers import Timer
from pyapp.protocol.channel import Beat, Frame, decode_beat, decode_frame
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.journal import Journal
from pyapp.protocol.peer import Description, PeerMessage
from pyapp.protocol.signaling import PeerJoined, Relay, Relayed, ServerMessage, Welcome
from pyapp.view.console import Presenter, present
from tests.unit.examples import ALL, stride
from tests.unit.pyapp.fakes import sdp, stats_of

A, B, C = "a" * 32, "b" * 32, "c" * 32
INVITATION = "e30.eyJhdWQiOiJkZW1vIn0.c2lnbmVk"
"""In form; to the session `demo`."""
TURN = "turns:turn.example.org:443?transport=tcp"
OTHER_TURN = "turns:turn2.example.org:443?transport=tcp"
GATHERED = "v=0\r\na=ice-pwd:the-password\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ relay\r\n"
CONFIGURATION = IceConfiguration((IceServer((TURN,), "user", "the-credential"),), lifetime=3600.0)
CANDIDATE = "candidate:1 1 udp 1 192.0.2.1 9 typ host"
CONNECTED = events.StateChanged("connection", "connected")
DISCONNECTED = events.StateChanged("connection", "disconnected")
FAILED = events.StateChanged("connection", "failed")
SAMPLED = events.StatsSampled(stats_of(("l1", "r1")))
RESTART = [commands.SetConfiguration(CONFIGURATION), commands.RestartIce()]
FETCH = commands.FetchIceConfiguration(ANY, "demo", ANY, ANY)
FETCH_OTHER = commands.FetchIceConfiguration(ANY, "other", ANY, ANY)


@dataclass(frozen=True)
class IceConfigured:
    """The answer to the latest `GET /ice`; if none is awaited, as if spares had been asked for."""

    configuration: IceConfiguration


@dataclass(frozen=True)
class NotConfigured:
    """The server's refusal of the latest `GET /ice`, or that there is no answer."""

    code: str
    reason: str


@dataclass(frozen=True)
class Opened:
    """The socket that is being opened is open."""


@dataclass(frozen=True)
class Closed:
    """The socket that is being opened did not open; if there is none, the one in use closed."""

    code: int
    reason: str


Input = Event | PeerEvent | ServerMessage | IceConfigured | NotConfigured | Opened | Closed
"""What happens to a core; of a peer connection without a name, to the one in use."""

Said = Command | PeerCommand
"""What it says; without a name, to the one in use."""


def session(**changes: Any) -> Session:
    return Session(A, A, 1_000_000.0, **changes)


@dataclass
class Core:
    """A session with its timers; whatever it says is checked for what no shell could do."""

    session: Session = field(default_factory=session)
    now: float = 0.0
    timers: dict[Timer, float] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    told: list[TabCommand] = field(default_factory=list)
    """What was said to the other tabs."""
    numbers: int = 0
    peer: PeerId = NO_PEER
    """The connection in use, or the last one that was."""
    standby: PeerId = NO_PEER
    probe: PeerId = NO_PEER
    peers: set[PeerId] = field(default_factory=set)
    """Those that there are."""
    socket: int = 0
    opening: int = 0
    asked: list[int] = field(default_factory=list)
    """Requests for an ICE configuration without an answer."""
    presenter: Presenter = field(default_factory=Presenter)
    steps: int = 0
    stride: int = field(default_factory=stride)
    """In how many steps the view is checked once, after the first `ALL`."""

    def do(self, *received: Input) -> list[Said]:
        """Return the commands but for timers, in `timers` by name, and what is `told` to other tabs."""
        result: list[Said] = []
        for item in received:
            event = self._event(item)
            if isinstance(event, events.TimerFired):
                self.timers.pop(event.timer, None)
            for command in self.session.receive(event, self.now):
                match command:
                    case commands.StartTimer(name, after, _, only_if_idle):
                        if not (only_if_idle and name in self.timers):
                            self.timers[name] = after
                    case commands.CancelTimer(name):
                        self.timers.pop(name, None)
                    case commands.OfPeer(peer, to_peer):
                        self._check_peer(peer, to_peer)
                        result.append(to_peer if peer == self.peer else command)
                    case commands.TabIsIn() | commands.TabIsOut() | commands.TakePlace() | commands.GivePlace():
                        self.told.append(command)
                    case _:
                        self._check(command)
                        result.append(command)
        if self.steps < ALL or self.steps % self.stride == 0:
            assert self.presenter.present(self.session) == present(self.session)
        self.steps += 1
        self.said += result
        return result

    def _event(self, item: Input) -> Event:
        match item:
            case IceConfigured(configuration):
                return events.IceConfigurationReceived(self._answered(), configuration)
            case NotConfigured(code, reason):
                return events.IceConfigurationFailed(self._answered(), code, reason)
            case Opened():
                self.socket, self.opening = self.opening, 0
                return events.SignalingOpened(self.socket)
            case Closed(code, reason):
                closed, self.opening = self.opening or self.socket, 0
                return events.SignalingClosed(closed, code, reason)
        if isinstance(item, PeerEvent):
            return events.OfPeer(self.peer, item)
        return events.SignalingReceived(self.socket, item) if isinstance(item, ServerMessage) else item

    def _answered(self) -> int:
        if not self.asked:
            for output in self.session.provisioning.want_spares():
                if isinstance(output, commands.FetchIceConfiguration):
                    return output.number
        return self.asked.pop() if self.asked else 0

    def _check(self, command: Command) -> None:
        match command:
            case commands.OpenSignaling(socket):
                self.opening = socket
            case commands.FetchIceConfiguration(number):
                self.asked.append(number)

    def _check_peer(self, peer: PeerId, command: PeerCommand) -> None:
        match command:
            case commands.CreatePeer(_, channels):
                assert peer > max(self.peer, self.standby, self.probe), "a name is given once"
                self.peers.add(peer)
                match channels:
                    case standby.CHANNELS:
                        self.standby = peer
                    case probe.CHANNELS:
                        self.probe = peer
                    case _:
                        self.peer = peer
            case commands.ClosePeer():
                self.peers.remove(peer)
            case _:
                assert peer in self.peers, f"{command} without a connection"
        assert self.peers <= {self.peer, self.standby, self.probe}, "one of each kind"

    def peer_says(self, body: PeerMessage, sender: str = B) -> list[Said]:
        self.numbers += 1
        return self.do(Relayed(sender, self.numbers, 0, body))

    def peer_restarts(self) -> list[Said]:
        """Take its first ICE restart, and answer: no relays are gathered for that."""
        configure, apply = self.peer_says(Description("offer", sdp("r2"), 1, 1))
        assert isinstance(configure, commands.SetConfiguration)
        assert not configure.configuration.relay_hosts
        assert isinstance(apply, commands.SetRemoteDescription)
        (answer,) = self.do(events.RemoteDescriptionSet(apply.attempt, apply.description))
        assert isinstance(answer, commands.SetLocalDescription)
        described = events.SessionDescription("answer", sdp("l2"))
        return self.do(events.LocalDescriptionSet(answer.attempt, described))

    @property
    def state(self) -> str:
        return present(self.session).status.state

    @property
    def journal(self) -> list[tuple[str, dict[str, Any]]]:
        return [(entry.event, dict(entry.data)) for entry in self.session.journal._unconfirmed]


def frames(outputs: Sequence[Said]) -> list[Frame]:
    return [decode_frame(output.text) for output in outputs if output == commands.SendOnChannel("messages", ANY)]


def sent(outputs: Sequence[Said]) -> list[PeerMessage]:
    return [
        output.message.body
        for output in outputs
        if isinstance(output, commands.SendSignaling)
        and isinstance(output.message, Relay)
        and output.message.body is not None
    ]


def journals(outputs: Sequence[Said]) -> list[Journal]:
    return [
        output.message
        for output in outputs
        if isinstance(output, commands.SendSignaling) and isinstance(output.message, Journal)
    ]


def beside_journals(outputs: Sequence[Said]) -> list[Said]:
    return [output for output in outputs if not journals([output])]


def beats(outputs: Sequence[Said]) -> list[Beat]:
    return [decode_beat(output.text) for output in outputs if output == commands.SendOnChannel("heartbeat", ANY)]


def beside_beats(outputs: Sequence[Said]) -> list[Said]:
    return [output for output in outputs if not beats([output]) and not journals([output])]


def connecting(**changes: Any) -> Core:
    core = Core(session(**changes))
    core.do(events.ConnectRequested("demo"))
    return core


def waiting(**changes: Any) -> Core:
    """Return the first in the session, whose offer is sent."""
    core = connecting(**changes)
    core.do(IceConfigured(CONFIGURATION), Opened())
    core.do(Welcome(polite=False, peer=""))
    core.do(offer_set("l1"))
    return core


def offer_set(fragment: str, attempt: int = 1) -> PeerEvent:
    return events.LocalDescriptionSet(attempt, events.SessionDescription("offer", sdp(fragment)))


def negotiated(**changes: Any) -> Core:
    core = waiting(**changes)
    core.do(PeerJoined(B))
    (answer,) = core.peer_says(Description("answer", sdp("r1"), 1))
    assert isinstance(answer, commands.SetRemoteDescription)
    core.do(events.RemoteDescriptionSet(answer.attempt, answer.description))
    return core


def connected(**changes: Any) -> Core:
    core = negotiated(**changes)
    core.do(CONNECTED, events.ChannelOpened("messages"), events.ChannelOpened("heartbeat"), SAMPLED)
    assert core.state == "connected"
    return core


def lost(**changes: Any) -> Core:
    """Return one whose path has been suspect for so long that the person knows."""
    core = connected(**changes)
    core.now += 3.0  # without a beat: the browser's bad news is believed
    core.do(DISCONNECTED, events.TimerFired(recovery.LOST))
    assert core.state == "recovering"
    return core
