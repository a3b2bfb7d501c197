"""What a connection cannot know itself, and asks."""

from typing import Protocol

from pyapp.core.failures import Failure


class Outside(Protocol):
    """The server, the other side there, and the conversation. Times are seconds on the runner's clock."""

    @property
    def signaling_is_there(self) -> bool:
        """Whether we have a place at the server, and it answers."""

    @property
    def peer_is_there(self) -> bool:
        """Whether the other side has a place there, too."""

    @property
    def peer_is_away(self) -> bool:
        """Whether it had one, and the server has given it up."""

    @property
    def server_heard(self) -> float:
        """When the server was heard last, or -1 if it is not there."""

    @property
    def peer_heard(self) -> float:
        """When the other side was heard last, through the server, or -1."""

    @property
    def standby_heard(self) -> float:
        """When a frame came over the standby last."""

    @property
    def refusal(self) -> Failure | None:
        """Why the server will not have us any more."""

    @property
    def shows_picture(self) -> bool:
        """Whether the other side shares its camera or its screen."""
