"""What a connection cannot know by itself."""

from collections.abc import Mapping
from typing import Protocol

from pyapp.core.events import TrackKind
from pyapp.core.failures import Failure


class Outside(Protocol):
    """The server, the peer as the server sees it, and the conversation. Times are seconds on the runner's clock."""

    @property
    def signaling_is_there(self) -> bool:
        """Whether we hold a place at the server, and it answers."""

    @property
    def peer_is_there(self) -> bool:
        """Whether the peer holds a place there, too."""

    @property
    def peer_is_away(self) -> bool:
        """Whether it held one, and the server has given it up."""

    @property
    def server_heard(self) -> float:
        """When the server was last heard; -1 if it is out of reach."""

    @property
    def peer_heard(self) -> float:
        """When the peer was last heard through the server, or -1."""

    @property
    def standby_heard(self) -> float:
        """When a frame last arrived over the standby."""

    @property
    def refusal(self) -> Failure | None:
        """Why the server refuses us, or None."""

    @property
    def shows_picture(self) -> bool:
        """Whether the peer shares its camera or its screen."""

    @property
    def sent(self) -> Mapping[TrackKind, int]:
        """The tracks that are to be sent all the time, by the numbers of their requests."""
