"""What the browser says of the connection in use: its states, and its channels `messages` and `heartbeat`."""

from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from pyapp.core import commands, events
from pyapp.core.path.facts import (
    ChannelIs,
    ChannelIsFull,
    Failed,
    FrameReceived,
    PartOutput,
    PathChanged,
    PeerLost,
)
from pyapp.core.path.observation import Observation
from pyapp.core.path.outside import Outside
from pyapp.core.path.recovery import Recovery
from pyapp.core.path.relaying import Relaying
from pyapp.core.path.replacement import Replacement
from pyapp.core.peers import NO_PEER, PeerId
from pyapp.protocol import entries
from pyapp.protocol.wire import MessageError

ChannelEvent: TypeAlias = (
    events.ChannelOpened | events.ChannelClosed | events.ChannelReceived | events.ChannelFilled | events.ChannelDrained
)


@dataclass(slots=True)
class Transport:
    """The states of one connection, whose parts it uses. Times are seconds on the runner's clock."""

    health: Recovery
    observation: Observation
    relaying: Relaying
    replacement: Replacement
    outside: Outside = field(repr=False)
    state: str = field(init=False, default="new")
    """Its `connectionState`."""
    channel_open: bool = field(init=False, default=False)
    """Whether the channel `messages` is open."""
    _dtls_failed: bool = field(init=False, default=False)
    """Whether its `RTCDtlsTransport` has: in Firefox some two of a hundred ICE restarts end so."""

    def state_changed(self, name: events.StateName, value: str, now: float) -> list[PartOutput]:
        """Handle that the state `name` is now `value`."""
        changed = entries.State(name, value)
        if name == "connection":
            return [changed, *self._is_now(value, now)]
        if name == "ice-connection" and value == "disconnected" and self.observation.established:
            # `iceConnectionState` says so a moment before `connectionState`, which also includes DTLS.
            return [changed, *self.health.bad_news("disconnected", now)]
        if name == "dtls":
            self._dtls_failed = value == "failed"
            if self._dtls_failed and not self.channel_open and self.observation.established:
                return [changed, *self.health.channel_closed(now, dtls_failed=True)]
        return [changed]

    def _is_now(self, state: str, now: float) -> list[PartOutput]:
        """Take the `connectionState`."""
        self.state = state
        established = self.observation.established
        match state:
            case "connected":
                return [commands.SampleStats(), PathChanged()]
            case "disconnected" | "failed" if self.outside.refusal is not None:
                return [Failed(self.outside.refusal)]
            case "disconnected" if established:
                return [*self.health.bad_news("disconnected", now)]
            case "failed" if established and self.outside.peer_is_away:
                return [PeerLost()]
            case "failed" if established:
                return [*self.health.bad_news("failed", now)]
            case "failed" if self.replacement.is_one:
                return []  # the timer tries the next one
            case "failed":
                return [self.relaying.no_path()]
        return []

    def channel(self, event: ChannelEvent, peer: PeerId, now: float) -> list[PartOutput]:
        """Handle an event of a channel of `peer`, the `RTCPeerConnection` in use."""
        match event:
            case events.ChannelOpened("heartbeat"):
                return [*self.health.channel_opened(now)]
            case events.ChannelClosed("heartbeat"):
                return [*self.health.muted()]
            case events.ChannelReceived("heartbeat", text):
                return self._heard(text, now)
            case events.ChannelOpened(label):
                self.channel_open = True
                opened = entries.Channel(label, open=True)
                return [opened, commands.SampleStats(), ChannelIs(peer)]
            case events.ChannelClosed(label):
                self.channel_open = False
                closed = entries.Channel(label, open=False)
                if self.outside.refusal is not None:  # a new channel needs a new connection, and the server
                    return [ChannelIs(NO_PEER), closed, Failed(self.outside.refusal)]
                return [ChannelIs(NO_PEER), closed, *self.health.channel_closed(now, dtls_failed=self._dtls_failed)]
            case events.ChannelReceived(label, text):
                self.relaying.talked_at = now
                return [FrameReceived(text, label)]
            case events.ChannelFilled(label):
                return [ChannelIsFull(True)] if label == "messages" else []
            case events.ChannelDrained(label):
                return [ChannelIsFull(False)] if label == "messages" else []
            case _:
                assert_never(event)

    def _heard(self, text: str, now: float) -> list[PartOutput]:
        try:
            return [*self.health.heard(text, now)]
        except MessageError as error:
            return [entries.MessageProblem(what="heartbeat", problem=str(error))]
