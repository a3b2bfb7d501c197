"""The connections between the pages of the simulated world: negotiated, checked, used, and found dead."""

from dataclasses import dataclass
from functools import partial

from pyapp.core import commands, events
from pyapp.core.commands import PeerCommand
from pyapp.core.events import ChannelLabel, OfPeer, PeerEvent
from pyapp.core.peers import PeerId
from tests.unit.pyapp.world.ground import Ground
from tests.unit.pyapp.world.page import Page, Path, TimedPeerConnection

CHECKS_EVERY = 0.25
"""Chromium looks for checks to send so often, once it is settled."""

DISCONNECTED_AFTER, FAILED_AFTER = 5.0, 15.0


@dataclass
class Paths:
    """What the network does to a path, a browser knows only from its own checks.

    A pair of ICE generations works if both were gathered after the last change of address at either end.
    """

    world: Ground

    def make(self, page: Page, peer: PeerId, create: commands.CreatePeer) -> None:
        assert page.pc is None, create
        page.connections += 1
        name, configuration = f"{page.name}{page.connections}-", create.configuration
        page.pc = TimedPeerConnection(name, peer=peer, clock=lambda: self.world.now, configuration=configuration)
        page.pc.start()

    def perform(self, page: Page, pc: TimedPeerConnection, command: PeerCommand) -> None:
        match command:
            case commands.ClosePeer():
                self._close(page)
            case commands.SendOnChannel(label, text):
                self._send(page, label, text)
            case _:
                pc.perform(command)

    def drive(self, page: Page) -> None:
        """Let the browser do what waits, one step after the other."""
        pc = page.pc
        if pc is None or pc.is_busy or not (pc.chain or pc.emitted):
            return
        pc.is_busy = True

        def step() -> None:
            pc.is_busy = False
            if page.pc is not pc:
                while pc.emitted:  # what was on its way when it was closed still comes
                    self.world.receive(page, OfPeer(pc.peer, pc.next_event()))
                return
            if pc.chain and (not pc.emitted or self.world.choose.random() < 0.5):
                pc.step()
                self._check(page)
                self.drive(page)
            else:
                event = pc.next_event()
                if isinstance(event, events.ChannelOpened):
                    pc.open.add(event.label)
                elif isinstance(event, events.ChannelClosed):
                    pc.open.discard(event.label)
                self.world.receive(page, OfPeer(pc.peer, event))

        self.world.after(self.world.moment(), step)

    def _close(self, page: Page) -> None:
        pc = page.pc
        assert pc is not None
        page.pc, pc.is_closed = None, True
        other, peer = self.world.other(page), pc.channel
        if isinstance(peer, TimedPeerConnection) and pc.path is not None and self._is_alive(page, pc, pc.path):

            def closed() -> None:
                if not peer.is_closed and peer.channel is pc:
                    peer.channel = None
                    labels: list[ChannelLabel] = ["heartbeat", "messages"]
                    self.world.choose.shuffle(labels)
                    peer.emitted += [events.ChannelClosed(label) for label in labels]
                    self.drive(other)

            self.world.after(self.world.trip(), closed)

    def _send(self, page: Page, label: ChannelLabel, text: str) -> None:
        pc = page.pc
        assert pc is not None
        peer, path = pc.channel, pc.path
        assert label in pc.open, f"InvalidStateError: {label} is not open"
        if (
            not isinstance(peer, TimedPeerConnection)
            or not peer.has_dtls
            or path is None
            or self.world.is_lost()
            or not self._is_alive(page, pc, path)
        ):
            return

        def arrive() -> None:
            other = self.world.other(page)
            if other.is_online and other.pc is not None and other.pc is peer:
                self.world.receive(other, OfPeer(other.pc.peer, events.ChannelReceived(label, text)))

        self.world.after(self.world.trip(), arrive)

    def _is_alive(self, page: Page, pc: TimedPeerConnection, path: Path) -> bool:
        """Return whether what `page` sends over `path` arrives."""
        other = self.world.other(page)
        born = pc.born.get(path[0], -1.0)
        peer_born = other.pc.born.get(path[1], -1.0) if other.pc else -1.0
        return (
            page.is_online
            and other.is_online
            and born > max(page.moved_at, page.muted_at)
            and peer_born > other.moved_at
            and not (pc.path == path and pc.relay and self.world.is_dead(pc.relay))
            and not self._other_relay_is_dead(other, path)
        )

    def _other_relay_is_dead(self, other: Page, path: Path) -> bool:
        pc = other.pc
        return bool(pc and pc.path == path[::-1] and pc.relay and self.world.is_dead(pc.relay))

    def _agreed(self, page: Page) -> Path | None:
        """Return the path that both ends would take now."""
        pc, other = page.pc, self.world.other(page).pc
        if pc is None or other is None or (path := pc.own_path()) is None or other.own_path() != path[::-1]:
            return None
        return path

    def _check(self, page: Page) -> None:
        """Begin connectivity checks at both ends if the descriptions are there."""
        if (path := self._agreed(page)) is None:
            return
        other = self.world.other(page)
        for each, its in ((page, path), (other, path[::-1])):
            if each.pc is not None and each.pc.path != its:
                each.pc.dead_since = each.pc.dead_since or self.world.now
                self._check_after(each, each.pc, its, 2 * self.world.trip() + self.world.moment())

    def _check_after(self, page: Page, pc: TimedPeerConnection, path: Path, seconds: float) -> None:
        self.world.after(seconds, partial(self._checked, page, pc, path))

    def _checked(self, page: Page, pc: TimedPeerConnection, path: Path) -> None:
        other = self.world.other(page)
        if page.pc is not pc or pc.is_closed or pc.path == path or self._agreed(page) != path:
            return
        pc.relay, previous = "", pc.relay
        works = other.pc is not None and self._is_alive(page, pc, path) and self._is_alive(other, other.pc, path[::-1])
        relay = self._relay(page, pc, path)
        # The one that has no relay in it can only follow the other one there.
        is_led = self.world.is_direct or bool(relay) or bool(other.pc and other.pc.path == path[::-1])
        if works and is_led:
            self._connected(page, pc, path, "" if self.world.is_direct and not self._only_relay(pc, path) else relay)
            return
        pc.relay = previous
        self._check_after(page, pc, path, CHECKS_EVERY if pc.path else 0.05)

    def _only_relay(self, pc: TimedPeerConnection, path: Path) -> bool:
        return pc.asked[path[0]].policy == "relay"

    def _relay(self, page: Page, pc: TimedPeerConnection, path: Path) -> str:
        """Return the relay of `page` that carries `path`: the first that lives of those that it asked.

        That is one of `a`'s, or of `b`'s if `a` gathered none. Whichever carried the path before, a pair of this
        generation is worth more (`precedence.py`), and a dead server gives no candidate.
        """
        alive, other = self._alive(_relays(pc, path[0])), self.world.other(page).pc
        if not alive or (page is self.world.b and other is not None and self._alive(_relays(other, path[1]))):
            return ""
        return alive[0]

    def _alive(self, urls: list[str]) -> list[str]:
        return [url for url in urls if not self.world.is_dead(url)]

    def _connected(self, page: Page, pc: TimedPeerConnection, path: Path, relay: str) -> None:
        pc.path, pc.relay, pc.dead_since = path, relay, None
        other = self.world.other(page)
        if other.pc is not None:
            other.pc.remote_relay = bool(relay)
        pc.is_now("connected")
        pc.emitted.append(events.PairChanged())
        self.drive(page)
        if other.pc is not None and other.pc.path == path[::-1]:
            for each in (page, other):
                self.world.after(self.world.opening(), partial(self._channel, each))

    def _channel(self, page: Page) -> None:
        pc, peer = page.pc, self.world.other(page).pc
        if pc is None or peer is None or pc.channel is not None or pc.path is None or peer.path != pc.path[::-1]:
            return
        if not pc.has_dtls:
            return
        pc.channel = peer
        labels: list[ChannelLabel] = ["messages", "heartbeat"]
        self.world.choose.shuffle(labels)
        pc.emitted += [events.ChannelOpened(label) for label in labels]
        self.drive(page)

    def lose_dtls(self, page: Page) -> None:
        """Let DTLS fail at this end, while ICE goes on: its channels close, and the other end is not told."""
        pc = page.pc
        assert pc is not None
        pc.has_dtls, pc.channel = False, None
        labels: list[ChannelLabel] = ["messages", "heartbeat"]
        failed: list[PeerEvent] = [
            events.StateChanged("dtls", "failed"),
            *(events.ChannelClosed(label) for label in labels),
        ]
        self.world.choose.shuffle(failed)
        pc.emitted += failed
        self.drive(page)

    def watch(self, page: Page) -> None:
        """Let a browser notice a dead path, slowly, as browsers do."""
        pc = page.pc
        if pc is None:
            return
        if pc.path is not None:
            other = self.world.other(page)
            alive = (
                other.pc is not None
                and self._is_alive(page, pc, pc.path)
                and self._is_alive(other, other.pc, pc.path[::-1])
            )
            if alive:
                pc.dead_since = None
                pc.is_now("connected")
            elif pc.dead_since is None:
                pc.dead_since = self.world.now
        if pc.dead_since is not None:
            silence = self.world.now - pc.dead_since
            if silence > FAILED_AFTER:
                pc.is_now("failed")
            elif silence > DISCONNECTED_AFTER and pc.connection_state == "connected":
                pc.is_now("disconnected")
        self.drive(page)


def _relays(pc: TimedPeerConnection, fragment: str) -> list[str]:
    """Return the URLs of the relays that were asked for in the ICE generation of `fragment`."""
    return [url for server in pc.asked[fragment].servers for url in server.urls if url.startswith("turn")]
