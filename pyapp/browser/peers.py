"""The browser's `RTCPeerConnection`s by their names: any number of them at once."""

from collections.abc import Callable, Iterator

from pyodide.ffi import JsException

from pyapp.browser.constructor import Constructor, is_chromium
from pyapp.browser.ffi import OnError
from pyapp.browser.media import LocalMedia
from pyapp.browser.peer import Peer
from pyapp.browser.rehearsal import PeerRehearsal
from pyapp.core import events
from pyapp.core.commands import ClosePeer, CreatePeer, OfPeer
from pyapp.core.events import Event, PeerEvent, PeerOperationFailed
from pyapp.core.peers import PeerId


class PeerConnections:
    """Performs `OfPeer` commands, each on the one that it names. Those with media sections send what `media` has."""

    def __init__(self, emit: Callable[[Event], None], on_error: OnError, media: LocalMedia) -> None:
        self._emit = emit
        self._on_error = on_error
        self._media = media
        self._constructor = Constructor()
        self._peers: dict[PeerId, Peer] = {}
        """Without those that the browser refused to make."""
        media.on_change(self._send_media)

    def rehearse(self) -> Iterator[str]:
        """Have the browser rehearse an answer (`rehearsal.py`)."""
        if is_chromium():
            PeerRehearsal(self._constructor.construct, self._on_error, self._media).begin()
            yield "the browser"

    def perform(self, of_peer: OfPeer) -> None:
        """Begin what the command says."""
        match of_peer:
            case OfPeer(peer, CreatePeer() as command):
                self._create(peer, command)
            case OfPeer(peer, command) if peer in self._peers:
                self._peers[peer].perform(command)
                if isinstance(command, ClosePeer):
                    del self._peers[peer]

    def _create(self, peer: PeerId, command: CreatePeer) -> None:
        def emit(event: PeerEvent) -> None:
            self._emit(events.OfPeer(peer, event))

        try:
            pc = self._constructor.new(command.configuration, every_interface=command.every_interface)
            self._peers[peer] = Peer(pc, command, emit, self._on_error, self._media)
        except JsException as error:
            emit(PeerOperationFailed("createPeer", f"{error.name}: {error.message}"))

    def _send_media(self) -> None:
        for peer in self._peers.values():
            peer.send_media()
