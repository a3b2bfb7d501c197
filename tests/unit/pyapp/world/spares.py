"""The second connection of the pages of the simulated world: the standby."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from pyapp.core import commands, events
from pyapp.core.commands import PeerCommand
from pyapp.core.events import Event, OfPeer
from pyapp.core.peers import PeerId
from tests.unit.pyapp.world.ground import Ground
from tests.unit.pyapp.world.page import Page, Spare
from tests.unit.pyapp.world.paths import FAILED_AFTER


@dataclass
class Spares:
    """Two of them are joined if each has the other's description, and work while both of their relays do."""

    world: Ground
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def make(self, page: Page, peer: PeerId, create: commands.CreatePeer) -> None:
        assert not page.spare, create
        (host,) = create.configuration.relay_hosts
        page.spare = Spare(peer, host, self.world.now, f"{page.name}{next(self._numbers)}")

    def perform(self, page: Page, spare: Spare, command: PeerCommand) -> None:
        match command:
            case commands.SetLocalDescription():
                kind = "answer" if spare.remote else "offer"
                gathering = 4 * self.world.trip() + self.world.moment()
                self.world.after(gathering, partial(self._gathered, page, spare, kind))
            case commands.SetRemoteDescription(attempt, description):
                spare.remote = _spare_of(description)
                described: Event = OfPeer(spare.id, events.RemoteDescriptionSet(attempt, description))
                self.world.after(0.0, partial(self._tell, page, spare, described))
                if description.type == "answer":
                    self.world.after(4 * self.world.trip() + self.world.moment(), partial(self._join, page, spare))
            case commands.SendOnChannel("standby", text):
                self._send(page, text)
            case commands.ClosePeer():
                self._close(page)
            case _:
                raise AssertionError(command)

    def _tell(self, page: Page, spare: Spare, event: Event) -> None:
        """Tell the page what became of its standby, if that was not closed since."""
        if page.spare is spare:
            self.world.receive(page, event)

    def _gathered(self, page: Page, spare: Spare, kind: str) -> None:
        found = page.is_online and spare.host not in self.world.dead_relays
        lines = ["v=0", *(["a=candidate:1 1 udp 1 192.0.2.1 9 typ relay"] if found else []), spare.name, ""]
        description = events.SessionDescription(kind, "\r\n".join(lines))
        self._tell(page, spare, OfPeer(spare.id, events.LocalCandidatesEnded(description)))

    def _join(self, page: Page, spare: Spare) -> None:
        other = self.world.other(page)
        theirs = other.spare
        if page.spare is not spare or theirs is None or (theirs.name, spare.name) != (spare.remote, theirs.remote):
            return
        spare.peer, theirs.peer = theirs, spare
        if self._is_alive(page) and self._is_alive(other):
            for each, its in ((page, spare), (other, theirs)):
                self.world.after(self.world.opening(), partial(self._opened, each, its))

    def _opened(self, page: Page, spare: Spare) -> None:
        if page.spare is spare:
            spare.is_open = True
            self.world.receive(page, OfPeer(spare.id, events.ChannelOpened("standby")))

    def _close(self, page: Page) -> None:
        assert page.spare, "no standby to close"
        other, spare = self.world.other(page), page.spare
        if spare.peer and self._is_alive(page):
            self.world.after(self.world.trip(), partial(self._closed, other, spare.peer))
        page.spare = None

    def _closed(self, page: Page, spare: Spare) -> None:
        if page.spare is spare:
            spare.is_open = False
            self.world.receive(page, OfPeer(spare.id, events.ChannelClosed("standby")))

    def _send(self, page: Page, text: str) -> None:
        spare, other = page.spare, self.world.other(page)
        assert spare, "there is no standby"
        # Between a channel's end and its event what is sent is lost: its event may be waiting in the inbox.
        if self.world.is_lost() or not self._is_alive(page):
            return

        def arrive() -> None:
            if other.spare is spare.peer and spare.peer and spare.peer.is_open and other.is_online:
                self.world.receive(other, OfPeer(spare.peer.id, events.ChannelReceived("standby", text)))

        self.world.after(self.world.trip(), arrive)

    def _is_alive(self, page: Page) -> bool:
        """Return whether what `page` sends over its standby arrives."""
        spare, other = page.spare, self.world.other(page)
        peer = spare and spare.peer
        if spare is None or peer is None or other.spare is not peer:
            return False
        is_there = page.is_online and other.is_online and spare.born > page.moved_at and peer.born > other.moved_at
        return is_there and spare.born > page.muted_at and not {spare.host, peer.host} & self.world.dead_relays

    def watch(self, page: Page) -> None:
        spare = page.spare
        if spare is None or not spare.is_open:
            return
        if self._is_alive(page) and self._is_alive(self.world.other(page)):
            spare.dead_since = None
        elif self.world.now - (spare.dead_since or self.world.now) > FAILED_AFTER:
            self.world.receive(page, OfPeer(spare.id, events.StateChanged("connection", "failed")))
        else:
            spare.dead_since = spare.dead_since or self.world.now


def _spare_of(description: events.SessionDescription) -> str:
    """Return the name of the one that a description is of."""
    return description.sdp.split("\r\n")[-2]
