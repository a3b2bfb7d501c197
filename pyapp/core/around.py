"""What the connections of a session need to know of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyapp.core.conversation import Conversation
from pyapp.core.events import TrackKind
from pyapp.core.failures import Failure
from pyapp.core.media import Media
from pyapp.core.signaling.presence import Presence


@dataclass(frozen=True, slots=True)
class AroundTheConnection:
    """The `path.outside.Outside` of every connection, taken from the parts of the session."""

    presence: Presence
    conversation: Conversation
    media: Media

    @property
    def signaling_is_there(self) -> bool:
        """Whether we hold a place at the server, and it answers."""
        return self.presence.is_there

    @property
    def peer_is_there(self) -> bool:
        """Whether the peer holds a place there, too."""
        return self.presence.peer_is_there

    @property
    def peer_is_away(self) -> bool:
        """Whether it held one, and the server has given it up."""
        return self.presence.peer_is_away

    @property
    def server_heard(self) -> float:
        """When the server was last heard; -1 if it is out of reach."""
        return self.presence.server_heard

    @property
    def peer_heard(self) -> float:
        """When the peer was last heard through the server, or -1."""
        return self.presence.peer_heard

    @property
    def standby_heard(self) -> float:
        """When a frame last arrived over the standby."""
        return self.conversation.aside_at

    @property
    def refusal(self) -> Failure | None:
        """Why the server refuses us, or None."""
        return self.presence.refusal

    @property
    def shows_picture(self) -> bool:
        """Whether the peer shares its camera or its screen."""
        return self.conversation.shared.video

    @property
    def sent(self) -> Mapping[TrackKind, int]:
        """The tracks that are to be sent all the time, by the numbers of their requests."""
        return self.media.sent
