"""What a connection reports beside its commands: facts on which the session acts.

Those that end the connection (`PeerLost`, `ReplacementWanted`, `Failed`) are the last of a list.
"""

from dataclasses import dataclass
from typing import TypeAlias

from pyapp.core.commands import Command, PeerCommand
from pyapp.core.events import ChannelLabel
from pyapp.core.failures import Failure
from pyapp.core.negotiation.negotiation import BegunAnew, ToPeer
from pyapp.core.path.outcomes import Attempt, Doubted, Reassured, Recovered, Resumed, Suspected
from pyapp.core.peers import PeerId
from pyapp.protocol.entries import Entry
from pyapp.protocol.entries.sample import Sample


@dataclass(frozen=True, slots=True)
class ChannelIs:
    """The `messages` channel is now that of `peer`, which is open; or it is closed."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class StandbyIs:
    """The same for the channel of the standby."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class ChannelIsFull:
    """The browser's buffer for the `messages` channel is full, or has drained."""

    is_full: bool


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """A frame of the conversation arrived over the channel `label`."""

    text: str
    label: ChannelLabel


@dataclass(frozen=True, slots=True)
class PathChanged:
    """There is a new path: retransmit what may have been lost in flight on the one before."""


@dataclass(frozen=True, slots=True)
class PathUntried:
    """The candidate pair is new, and may not work: try it with the oldest message alone."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """The path was measured."""

    sample: Sample


@dataclass(frozen=True, slots=True)
class SocketDoubted:
    """Our socket may still receive, but no longer send: open a new one."""


@dataclass(frozen=True, slots=True)
class SparesWanted:
    """A relay was set aside: ask the server for others."""


@dataclass(frozen=True, slots=True)
class PeerLost:
    """The peer has left the server and is silent here: it is gone, without a goodbye."""


@dataclass(frozen=True, slots=True)
class ReplacementWanted:
    """The connection cannot be repaired: replace it, at both ends.

    It is also sent when a connection that gathers on `every_interface` may do better.
    """

    every_interface: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The session fails: no path can be found, or no server helps to find one."""

    failure: Failure


ChannelFact: TypeAlias = ChannelIs | StandbyIs | ChannelIsFull | FrameReceived | PathChanged | PathUntried
"""What the conversation alone acts on."""

Occurrence: TypeAlias = (
    Entry
    | ToPeer
    | Doubted
    | Reassured
    | Suspected
    | ChannelFact
    | Sampled
    | SocketDoubted
    | SparesWanted
    | PeerLost
    | ReplacementWanted
    | Failed
)
Addressed: TypeAlias = Command | Occurrence
"""The outputs of a connection: each command to an `RTCPeerConnection` is addressed."""
Output: TypeAlias = Addressed | PeerCommand
"""The outputs of a part that knows only one `RTCPeerConnection`."""
PartOutput: TypeAlias = Output | BegunAnew | Attempt | Resumed | Recovered
"""The same with the facts of its negotiation and recovery, on which the connection acts."""
