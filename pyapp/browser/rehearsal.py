"""A rehearsal of what the browser is asked for in a first connection, beside that of the core (`shell/rehearsal.py`).

What crosses the border between the languages is slow at first, too: the first candidate of a connection took 4 ms, the
third less than one.
"""

from collections.abc import Callable
from typing import Any

from js import RTCIceCandidate, RTCPeerConnectionIceEvent

from pyapp.browser.ffi import OnError, jsobj
from pyapp.browser.media import LocalMedia
from pyapp.browser.peer import Peer
from pyapp.core import commands
from pyapp.core.events import (
    LocalDescriptionSet,
    PeerEvent,
    PeerOperationFailed,
    RemoteDescriptionSet,
    SessionDescription,
    StatsSampled,
)
from pyapp.core.path.connection import CHANNELS
from pyapp.protocol.ice import IceConfiguration
from pyapp.shell.rehearsal import candidate, sdp

TIMES = 3
"""How often it is rehearsed."""

CONFIGURATION = IceConfiguration(policy="relay")
"""Only relays, and none named: nothing is gathered."""

_CANDIDATES = 8


class PeerRehearsal:
    """Applies an offer from nobody to an `RTCPeerConnection` of `construct`, answers it, and closes it; some times."""

    def __init__(self, construct: Callable[[IceConfiguration], Any], on_error: OnError, media: LocalMedia) -> None:
        self._construct = construct
        self._on_error = on_error
        self._media = media
        self._left = TIMES

    def begin(self) -> None:
        """Begin the next one."""
        if not self._left:
            return
        self._left -= 1
        self._pc = self._construct(CONFIGURATION)
        made = commands.CreatePeer(CONFIGURATION, CHANNELS)
        self._peer = Peer(self._pc, made, self._on_event, self._on_error, self._media)
        self._peer.perform(commands.SetRemoteDescription(1, SessionDescription("offer", sdp("there", "actpass"))))

    def _on_event(self, event: PeerEvent) -> None:
        match event:
            case RemoteDescriptionSet():
                self._peer.perform(commands.SetLocalDescription(2))
                for number in range(_CANDIDATES):
                    self._peer.perform(commands.AddIceCandidate(candidate("there", number)))
            case LocalDescriptionSet():
                self._gathered()
                self._peer.perform(commands.SampleStats())
            case PeerOperationFailed(operation, error):
                raise RuntimeError(f"{operation}: {error}")
            case StatsSampled():
                self._peer.perform(commands.ClosePeer())
                self.begin()

    def _gathered(self) -> None:
        for number in range(_CANDIDATES):
            one = candidate("here", number)
            init = jsobj({"candidate": one.candidate, "sdpMid": one.sdp_mid, "sdpMLineIndex": one.sdp_m_line_index})
            found = jsobj({"candidate": RTCIceCandidate.new(init)})
            self._pc.dispatchEvent(RTCPeerConnectionIceEvent.new("icecandidate", found))
