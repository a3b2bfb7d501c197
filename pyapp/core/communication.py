"""What the two people exchange, messages and media, and who is there to exchange it with."""

from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from pyapp.core.commands import Command
from pyapp.core.company import Company
from pyapp.core.conversation import Conversation, MessageRefusedError
from pyapp.core.events import ChannelLabel, MediaEvent
from pyapp.core.failures import MessageRefusal
from pyapp.core.media import Media
from pyapp.core.path.facts import (
    ChannelFact,
    ChannelIs,
    ChannelIsFull,
    FrameReceived,
    PathChanged,
    PathUntried,
    StandbyIs,
)
from pyapp.core.peers import NO_PEER
from pyapp.core.signaling.rendezvous import Rendezvous
from pyapp.protocol import entries
from pyapp.protocol.channel import NOTHING_SHARED
from pyapp.protocol.entries import Entry
from pyapp.protocol.wire import MessageError

Output: TypeAlias = Command | Entry


@dataclass(slots=True)
class Communication:
    """The communication of one page load, with one peer after the other. Times are seconds on the runner's clock."""

    conversation: Conversation
    company: Company
    media: Media
    problem: MessageRefusal | None = None
    """Why the last message was refused, or None."""
    _read: int | None = field(init=False, default=None)
    """How many of their messages had arrived when the page was hidden; None while it is shown."""
    _is_lost: bool = field(init=False, default=False)
    """Whether the server has lost the peer, which may still be reachable."""

    @property
    def unread(self) -> int:
        """How many messages have arrived since the page was hidden."""
        return 0 if self._read is None else self.conversation.received_count - self._read

    @property
    def shares_media(self) -> bool:
        """Whether either side shares camera, microphone or screen."""
        return (self.media.shared, self.conversation.shared) != (NOTHING_SHARED, NOTHING_SHARED)

    def hidden(self, *, is_hidden: bool) -> None:
        """Record that the page was hidden or shown."""
        self._read = self.conversation.received_count if is_hidden else None

    # The person here.

    def submit(self, text: str, now: float) -> list[Output]:
        """Take a message, unless it is blank."""
        self.problem = None
        if not text.strip():
            return []
        try:
            return [*self.conversation.submit(text, now)]
        except MessageRefusedError as error:
            self.problem = error.why
            return [entries.MessageProblem(own=True, problem=str(error))]

    def send_again(self, place: int, now: float) -> list[Output]:
        """Send the present peer the message at `place`, which was for somebody who left."""
        self.problem = None
        try:
            return [*self.conversation.send_again(place, now)]
        except MessageRefusedError as error:
            self.problem = error.why
            return []

    def media_event(self, event: MediaEvent, now: float, *, is_connected: bool) -> list[Output]:
        """Handle an event of the camera, the microphone or the screen; tell the peer if what is shared has changed.

        `is_connected` means that there is a connection. A later one begins with what is shared by then.
        """
        before = self.media.shared
        result = self.media.receive(event)
        if is_connected and self.media.shared != before:
            result += self.conversation.share(self.media.shared, now)
        return result

    # The peer.

    def arrived(self, place: Rendezvous) -> None:
        """Continue with the peer that is in our session now."""
        self._is_lost = False
        self.conversation.with_partner(place.peer, place.peer_tab)
        tab, number = place.peer_tab or place.peer, len(self.conversation.messages)
        self.company.arrived(tab, place.peer_name, was_first=place.was_first, place=number)

    def lost(self) -> None:
        """Record that the server has lost the peer, which may still be reachable."""
        self._is_lost = True

    def parted(self) -> None:
        """Record that the peer is gone."""
        self.conversation.parted()
        self.company.gone(len(self.conversation.messages), is_lost=self._is_lost)

    def end(self) -> list[Output]:
        """End it: the session is over."""
        self.company.ended()
        self.conversation.parted()
        return self.media.end()

    # The connection.

    def closed(self) -> None:
        """Hold everything: the connection is closed."""
        self.conversation.channel_is(NO_PEER)

    def connection_did(self, fact: ChannelFact, now: float) -> list[Output]:
        """Act on what a connection reports of its channels."""
        match fact:
            case PathChanged():
                return [*self.conversation.path_changed(now)]
            case PathUntried():
                return [*self.conversation.probe(now)]
            case ChannelIs(peer) if peer != NO_PEER:
                return [*self.conversation.opened(peer, self.media.shared, now)]
            case ChannelIs():
                self.closed()
                return []
            case StandbyIs(peer):
                return [*self.conversation.standby_is(peer, now)]
            case ChannelIsFull(True):
                self.conversation.channel_filled()
                return []
            case ChannelIsFull():
                return [*self.conversation.channel_drained(now)]
            case FrameReceived(text, label):
                return self._received(text, label, now)
            case _:
                assert_never(fact)

    def _received(self, text: str, label: ChannelLabel, now: float) -> list[Output]:
        try:
            return [*self.conversation.received(text, now, label)]
        except MessageError as error:
            return [entries.MessageProblem(problem=str(error))]
