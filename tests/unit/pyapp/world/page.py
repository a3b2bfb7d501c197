"""A page of the simulated world: a session, its browser and its network."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pyapp.core import commands, events
from pyapp.core.commands import PeerCommand
from pyapp.core.events import ChannelLabel
from pyapp.core.path import recovery, standby
from pyapp.core.peers import NO_PEER, PeerId
from pyapp.core.session import Session
from pyapp.core.timers import Timer
from pyapp.protocol.ice import IceConfiguration
from pyapp.view.status import page_state
from tests.unit.pyapp.fakes import ConnectedPeerConnection, Line, Sockets, stats_of

Path = tuple[str, str]


@dataclass(eq=False)
class TimedPeerConnection(ConnectedPeerConnection):
    """`born` says when the fragments of this end were gathered, `asked` with which configuration."""

    peer: PeerId = NO_PEER
    clock: Callable[[], float] = lambda: 0.0
    configuration: IceConfiguration = field(default_factory=IceConfiguration)
    born: dict[str, float] = field(default_factory=dict)
    asked: dict[str, IceConfiguration] = field(default_factory=dict)
    relay: str = ""
    """The URL of the relay that carries `path`, or nothing."""
    remote_relay: bool = False
    connection_state: str = "new"
    dead_since: float | None = None
    is_busy: bool = False
    open: set[ChannelLabel] = field(default_factory=set)
    """Channels that can be sent on: each closes with its own event."""
    has_dtls: bool = True
    """Whether its `RTCDtlsTransport` has not failed: without it nothing that comes can be read."""

    def perform(self, command: PeerCommand) -> None:
        if isinstance(command, commands.SetConfiguration):
            self.configuration = command.configuration
        elif isinstance(command, commands.SampleStats):
            local: dict[str, object] = {}
            if self.relay:
                local = {"candidateType": "relay", "relayProtocol": "udp", "url": self.relay}
            entries = stats_of(self.path, **local)
            if self.remote_relay and "R" in entries:
                entries["R"]["candidateType"] = "relay"
            self.emitted.append(events.StatsSampled(entries))
        else:
            super().perform(command)

    def _gather(self, fragment: str) -> None:
        self.born.setdefault(fragment, self.clock())
        self.asked.setdefault(fragment, self.configuration)
        super()._gather(fragment)

    def is_now(self, state: str) -> None:
        if state != self.connection_state:
            self.connection_state = state
            self.emitted.append(events.StateChanged("connection", state))


@dataclass(eq=False)
class Spare:
    """A page's second connection, gathered at `born` over the relay on `host`."""

    id: PeerId
    host: str
    born: float
    name: str
    remote: str = ""
    """The name in the other side's description."""
    peer: "Spare | None" = None
    is_open: bool = False
    dead_since: float | None = None


@dataclass(eq=False)
class Page:
    """One page: a session, its browser and its network."""

    name: str
    session: Session
    sockets: Sockets
    pc: TimedPeerConnection | None = None
    spare: Spare | None = None
    timers: dict[Timer, float] = field(default_factory=dict)
    connections: int = 0
    is_online: bool = True
    moved_at: float = -1.0
    """When its address, or the route to it, changed last."""
    muted_at: float = -1.0
    """Since when nothing that it sends over older paths arrives."""
    is_mute_to_server: set[Line] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    heard_before: int = 0
    """How many messages were heard of an older page load of the other side."""
    heard_at: list[float] = field(default_factory=list)
    """When each message came."""

    @property
    def heard(self) -> list[str]:
        everything = [message.text for message in self.session.conversation.messages if not message.mine]
        return everything[self.heard_before :]

    @property
    def health(self) -> recovery.Recovery:
        assert self.session.connection is not None
        return self.session.connection.recovery

    @property
    def state(self) -> str:
        return page_state(self.session)

    @property
    def standby(self) -> standby.Standby:
        assert self.session.connection is not None
        return self.session.connection.standby

    def notes(self, words: str) -> list[str]:
        """Return the lines of the log that contain `words`, the oldest first."""
        return [line.text for line in reversed(self.session.journal.lines) if words in line.text]
