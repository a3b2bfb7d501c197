"""What a connection says beside its commands: the facts on which the session acts.

Those that end the connection (`PeerLost`, `ReplacementWanted`, `Failed`) are the last of a list.
"""

from dataclasses import dataclass
from typing import TypeAlias

from pyapp.core.commands import Command, PeerCommand
from pyapp.core.diagnostics.journal import Note
from pyapp.core.events import ChannelLabel
from pyapp.core.failures import Failure
from pyapp.core.negotiation.negotiation import ToPeer
from pyapp.core.path.outcomes import Doubted, Reassured, Suspected
from pyapp.core.peers import PeerId


@dataclass(frozen=True, slots=True)
class ChannelIs:
    """The channel of the messages is open from now on, that of `peer`; or closed."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class StandbyIs:
    """The same of the channel of the standby."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class ChannelIsFull:
    """The browser takes no more for the channel of the messages from now on, or takes it again."""

    is_full: bool


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """A frame of the conversation came over the channel `label`."""

    text: str
    label: ChannelLabel


@dataclass(frozen=True, slots=True)
class PathChanged:
    """There is a path, and what was on its way may be lost with the one before: send it again."""


@dataclass(frozen=True, slots=True)
class PathUntried:
    """The pair is new, and may not work: try it with the oldest message alone."""


@dataclass(frozen=True, slots=True)
class SocketDoubted:
    """Our socket may still receive, and no longer send: reach the server anew."""


@dataclass(frozen=True, slots=True)
class SparesWanted:
    """A relay was set aside: ask the server for others."""


@dataclass(frozen=True, slots=True)
class PeerLost:
    """The other side has left the server, and gives no sign here: it is gone, without a goodbye."""


@dataclass(frozen=True, slots=True)
class ReplacementWanted:
    """The connection cannot be mended: put a new one in its place, at both sides.

    Or one that gathers on `every_interface` may do better.
    """

    every_interface: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """It is the end, since no path can be found, or no server helps to find one."""

    failure: Failure


Occurrence: TypeAlias = (
    Note
    | ToPeer
    | Doubted
    | Reassured
    | Suspected
    | ChannelIs
    | StandbyIs
    | ChannelIsFull
    | FrameReceived
    | PathChanged
    | PathUntried
    | SocketDoubted
    | SparesWanted
    | PeerLost
    | ReplacementWanted
    | Failed
)
Addressed: TypeAlias = Command | Occurrence
"""What leaves: each command to an `RTCPeerConnection` names it."""
Output: TypeAlias = Addressed | PeerCommand
"""Of a part that has but one."""
