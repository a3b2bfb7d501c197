"""Two sessions, their browsers, a server and the networks between them, in simulated time.

Everything takes a little while, drawn at random, so that each run is another order of events; nothing sleeps. What the
network does to a path, a browser knows only from its own checks: a pair of ICE generations works if both were gathered
after the last change of address at either end.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from backend.ice.choosing import ice_configuration
from backend.ice.ice_servers import ConfiguredServer
from pyapp.core import commands, events, provisioning
from pyapp.core.commands import Command, PeerCommand
from pyapp.core.diagnostics import journal
from pyapp.core.events import ChannelLabel, Event, OfPeer
from pyapp.core.path import recovery, standby
from pyapp.core.path.observation import STATS
from pyapp.core.path.relays import DIRECT, RELEASE
from pyapp.core.path.replacement import RENEW
from pyapp.core.peers import PeerId
from pyapp.core.session import Session
from pyapp.core.signaling import link
from pyapp.core.timers import Timer
from pyapp.protocol.ice import parse_ice_url, username_fragments
from tests.unit.pyapp.fakes import FakeServer, Line, Sockets
from tests.unit.pyapp.pages import Page, Path, Spare, TimedPeerConnection

A, B, C = "a" * 32, "b" * 32, "c" * 32

CONSTANT_TIMERS = {
    *(STATS, journal.TIMER, provisioning.RENEW, DIRECT, RELEASE, RENEW),
    *(recovery.BEAT, recovery.SILENCE, link.PING, standby.TIMER),
}
"""Timers that are armed although nothing is amiss."""

CHECKS_EVERY = 0.25
"""Chromium looks for checks to send so often, once it is settled."""

DISCONNECTED_AFTER, FAILED_AFTER = 5.0, 15.0

SERVER_NOTICES_AFTER = 6.0
"""Seconds after which the server takes a socket for dead."""


@dataclass
class World:
    """`delay` is seconds one way, between the pages and to the server; `jitter` is added at random."""

    choose: random.Random = field(default_factory=lambda: random.Random(0))
    delay: float = 0.001
    jitter: float = 0.0
    loss: float = 0.0
    relays: tuple[ConfiguredServer, ...] = ()
    standby: bool = False
    is_direct: bool = True
    """Whether the two can reach each other without a relay."""
    now: float = 0.0
    server: FakeServer = field(default_factory=FakeServer)
    server_is_up: bool = True
    dead_relays: set[str] = field(default_factory=set)
    pages: dict[str, Page] = field(init=False)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    """Relays that `GET /ice` was asked to avoid."""
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _scheduled: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pages = {name: self.page(name, participant) for name, participant in (("a", A), ("b", B))}
        self._monitor()

    @property
    def a(self) -> Page:
        return self.pages["a"]

    @property
    def b(self) -> Page:
        return self.pages["b"]

    def page(self, name: str, participant: str) -> Page:
        return Page(name, Session(participant, key=name * 32, time_origin=0.0), Sockets(self.server))

    def other(self, page: Page) -> Page:
        return self.b if page is self.a else self.a

    # Time.

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now + max(seconds, 1e-6), next(self._numbers), do))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self._next()
        self.now = end

    def run_until(self, done: Callable[[], bool], *, most: float = 90.0) -> float:
        """Run until `done`; return the seconds that it took."""
        start = self.now
        while not done():
            assert self.now - start < most, f"not within {most} seconds: {self.words()}"
            self._next()
        return self.now - start

    def _next(self) -> None:
        self.now, _, do = heapq.heappop(self._agenda)
        do()

    def words(self) -> str:
        """Return what a person would want to know of a world that went wrong."""
        result = []
        for page in self.pages.values():
            lines = [f"{line.at / 1000:.3f} {line.mark} {line.text}" for line in page.session.journal.lines]
            shown = [line for line in lines if "candidate" not in line and "path=" not in line][:60]
            result += [f"\n{page.name}: {page.state} {sorted(page.timers)}", *reversed(shown)]
        return "\n".join(result)

    def trip(self) -> float:
        return self.delay + self.jitter * self.choose.random()

    def moment(self) -> float:
        """Return the seconds that a step inside a browser takes."""
        return self.choose.uniform(0.0002, 0.003)

    # The person.

    def connect(self, *names: str) -> None:
        for name in names:
            self.receive(self.pages[name], events.ConnectRequested("demo"))

    def connected(self) -> "World":
        self.connect("a", "b")
        self.rest()
        return self

    def say(self, name: str) -> None:
        page = self.pages[name]
        page.said.append(f"{name} {len(page.said)}")
        self.receive(page, events.MessageSubmitted(page.said[-1]))

    # The network.

    def move(self, name: str, *, tells: bool = True) -> None:
        """Give a page another address: its sockets are dead, and its browser `tells` of it, twice."""
        page = self.pages[name]
        self._lose_sockets(page)
        page.moved_at = self.now
        if tells:
            kinds: list[Literal["offline", "online"]] = ["offline", "online"]
            for kind in kinds:
                self.after(0.005, partial(self.receive, page, events.NetworkChanged(kind, certain=True)))
            self.after(0.009, partial(self.receive, page, events.NetworkChanged("change", certain=True)))

    def reroute(self, name: str) -> None:
        """Change the route to a page: nobody tells, and its sockets still receive, but no longer send."""
        page = self.pages[name]
        page.moved_at = self.now
        page.is_mute_to_server |= {line for line in (page.sockets.line, page.sockets.opening) if line}

    def mute(self, name: str) -> None:
        """Let nothing arrive of what a page sends over the paths that there are."""
        self.pages[name].muted_at = self.now

    def unplug(self, name: str) -> None:
        """Take a page's uplink away; nobody tells."""
        page = self.pages[name]
        page.is_online = False
        self._lose_sockets(page)

    def plug(self, name: str, *, tells: bool = False, moved: bool = False) -> None:
        """Give it back, with another address if it `moved`."""
        page = self.pages[name]
        page.is_online = True
        if moved:
            page.moved_at = self.now
        if tells:
            self.receive(page, events.NetworkChanged("online", certain=True))

    def kill_socket(self, name: str) -> None:
        self._lose_sockets(self.pages[name])

    def close_socket(self, name: str) -> None:
        """Cut a page's socket, so that both ends are told."""
        page = self.pages[name]
        for line in (page.sockets.line, page.sockets.opening):
            if line is not None:
                line.cut = True
                line.up.clear()
                self.after(self.trip(), partial(self._gone, page, line))
                self.after(self.trip(), partial(self._notice, line))

    def restart_server(self, down: float = 0.5) -> None:
        for page in self.pages.values():
            for line in (page.sockets.line, page.sockets.opening):
                if line is not None:
                    self.after(self.trip(), partial(self._gone, page, line))
        self.server.restart()
        self.server_is_up = False

        def up() -> None:
            self.server_is_up = True

        self.after(down, up)

    def reload(self, name: str, participant: str = C) -> Page:
        """Replace a page by a fresh one, as the person's reload does."""
        page = self.pages[name]
        self.receive(page, events.PageClosing())
        assert page.timers == {}
        other = self.other(page)
        other.heard_before += len(other.heard)
        self.pages[name] = self.page(name, participant)
        self.pages[name].connections = 100
        return self.pages[name]

    def _lose_sockets(self, page: Page) -> None:
        for line in (page.sockets.line, page.sockets.opening):
            if line is not None and not line.cut:
                line.cut, line.is_told = True, False
                line.up.clear()
                line.down.clear()
                self.after(SERVER_NOTICES_AFTER, partial(self._notice, line))

    # The server.

    def _open(self, page: Page, socket: int) -> None:
        line = page.sockets.open(socket)
        if not page.is_online:
            line.cut, line.is_told = True, False
            self.after(SERVER_NOTICES_AFTER, partial(self._notice, line))
        elif not self.server_is_up:
            line.cut = True
            self.after(2 * self.trip(), partial(self._gone, page, line))
        else:
            self.after(4 * self.trip(), partial(self._opened, page, line))
        self._pump()

    def _opened(self, page: Page, line: Line) -> None:
        if page.sockets.opening is not line or line.cut:
            return
        if old := page.sockets.line:
            self.after(self.trip(), partial(self._notice, old))
        page.sockets.opened()
        self.receive(page, events.SignalingOpened(line.socket))

    def _gone(self, page: Page, line: Line) -> None:
        """Let a page hear of the end of a socket."""
        if line in (page.sockets.line, page.sockets.opening):
            page.sockets.closed(line)
            self.receive(page, events.SignalingClosed(line.socket, 1006, ""))

    def _notice(self, line: Line) -> None:
        if line.number in self.server.lines:
            self.server.now = self.now
            while line.up and line.hung_up and not line.cut:
                self.server.take(line)  # the end of a connection comes after what was sent on it
            self.server.notice(line)
            self._pump()

    def _take(self, line: Line) -> None:
        if line.up and line.number in self.server.lines:
            self.server.take(line)
            self._pump()

    def _pump(self) -> None:
        """Send on what the server said."""
        for line in list(self.server.lines.values()):
            while self._scheduled.get(line.number, 0) < len(line.down):
                self._scheduled[line.number] = self._scheduled.get(line.number, 0) + 1
                self.after(self.trip(), partial(self._deliver, line))
            if line.closing and not line.cut:
                for page in self.pages.values():
                    self.after(2 * self.trip(), partial(self._gone, page, line))
                self.after(2 * self.trip(), partial(self._notice, line))

    def _deliver(self, line: Line) -> None:
        self._scheduled[line.number] -= 1
        if not line.down:
            return
        message = line.receive()
        for page in list(self.pages.values()):
            if page.sockets.line is line and page.is_online:
                self.receive(page, events.SignalingReceived(line.socket, message))

    def _fetch(self, page: Page, number: int, avoid: tuple[str, ...]) -> None:
        self.asked.append(avoid)
        if page.is_online and self.server_is_up:
            answer = ice_configuration(self.relays, name="demo", now=self.now, avoid=avoid, standby=self.standby)
            event: Event = events.IceConfigurationReceived(number, answer)
            self.after(2 * self.trip() + 0.005, lambda: self.receive(page, event))
        else:
            event = events.IceConfigurationFailed(number, "", "Failed to fetch")
            self.after(2.0, lambda: self.receive(page, event))

    # The browsers.

    def receive(self, page: Page, event: Event) -> None:
        before = len(page.heard)
        for command in page.session.receive(event, self.now):
            self._perform(page, command)
        page.heard_at += [self.now] * (len(page.heard) - before)
        assert page.pc is None or page.pc.failures == [], self.words()
        self._drive(page)

    def _perform(self, page: Page, command: Command) -> None:
        match command:
            case commands.StartTimer(name, after, spread, only_if_idle):
                if not (only_if_idle and name in page.timers):
                    self._start_timer(page, name, after + spread * self.choose.random())
            case commands.CancelTimer(name):
                page.timers.pop(name, None)
            case commands.FetchIceConfiguration(number, _, avoid):
                self._fetch(page, number, avoid)
            case commands.OpenSignaling(socket):
                self._open(page, socket)
            case commands.CloseSignaling():
                for line in (page.sockets.line, page.sockets.opening):
                    if line is not None:
                        self.after(2 * self.trip(), partial(self._notice, line))
                page.sockets.close()
            case commands.SendSignaling(message):
                line = page.sockets.line
                page.sockets.send(message)
                if line is not None and line in page.is_mute_to_server:
                    line.up.clear()
                elif line is not None and page.is_online:
                    self.after(self.trip(), partial(self._take, line))
            case commands.LimitVideo():
                pass  # there is no video here
            case commands.TabIsIn() | commands.TabIsOut() | commands.AskHealth() | commands.GiveUpPlace():
                pass  # each page has a browser to itself, and what HTTP says is only for the person
            case commands.OfPeer(peer, commands.CreatePeer(configuration, standby.CHANNELS)):
                assert not page.spare, command
                (host,) = configuration.relay_hosts
                page.spare = Spare(peer, host, self.now, f"{page.name}{next(self._numbers)}")
            case commands.OfPeer(peer, commands.CreatePeer() as create):
                self._make_peer(page, peer, create)
            case commands.OfPeer(peer, to_spare) if page.spare and page.spare.id == peer:
                self._perform_on_spare(page, page.spare, to_spare)
            case commands.OfPeer(peer, to_peer):
                assert page.pc is not None, command
                assert page.pc.peer == peer, command
                self._perform_on_peer(page, page.pc, to_peer)
            case commands.ReportFault(_, error):
                raise error
            case (
                commands.StartMedia()
                | commands.StopMedia()
                | commands.AskAccess()
                | commands.IssueInvitation()
                | commands.ListInvitations()
                | commands.RevokeInvitation()
                | commands.TakePlace()
                | commands.GivePlace()
            ):
                raise AssertionError(command)

    def _make_peer(self, page: Page, peer: PeerId, create: commands.CreatePeer) -> None:
        assert page.pc is None, create
        page.connections += 1
        name, configuration = f"{page.name}{page.connections}-", create.configuration
        page.pc = TimedPeerConnection(name, peer=peer, clock=lambda: self.now, configuration=configuration)
        page.pc.start()

    def _perform_on_peer(self, page: Page, pc: TimedPeerConnection, command: PeerCommand) -> None:
        match command:
            case commands.ClosePeer():
                self._close_peer(page)
            case commands.SendOnChannel(label, text):
                self._send(page, label, text)
            case _:
                pc.perform(command)

    def _perform_on_spare(self, page: Page, spare: Spare, command: PeerCommand) -> None:
        match command:
            case commands.SetLocalDescription():
                kind = "answer" if spare.remote else "offer"
                self.after(4 * self.trip() + self.moment(), partial(self._gathered, page, spare, kind))
            case commands.SetRemoteDescription(attempt, description):
                spare.remote = _spare_of(description)
                described: Event = OfPeer(spare.id, events.RemoteDescriptionSet(attempt, description))
                self.after(0.0, partial(self._if_spare, page, spare, described))
                if description.type == "answer":
                    self.after(4 * self.trip() + self.moment(), partial(self._join_spares, page, spare))
            case commands.SendOnChannel("standby", text):
                self._send_aside(page, text)
            case commands.ClosePeer():
                self._close_spare(page)
            case _:
                raise AssertionError(command)

    def _if_spare(self, page: Page, spare: Spare, event: Event) -> None:
        """Tell the page what became of its standby, if that was not closed since."""
        if page.spare is spare:
            self.receive(page, event)

    def _start_timer(self, page: Page, name: Timer, after: float) -> None:
        at = page.timers[name] = self.now + max(after, 1e-6)

        def fire() -> None:
            if page.timers.get(name) == at:
                del page.timers[name]
                self.receive(page, events.TimerFired(name))

        heapq.heappush(self._agenda, (at, next(self._numbers), fire))

    def _drive(self, page: Page) -> None:
        """Let the browser do what waits, one step after the other."""
        pc = page.pc
        if pc is None or pc.is_busy or not (pc.chain or pc.emitted):
            return
        pc.is_busy = True

        def step() -> None:
            pc.is_busy = False
            if page.pc is not pc:
                while pc.emitted:  # what was on its way when it was closed still comes
                    self.receive(page, OfPeer(pc.peer, pc.next_event()))
                return
            if pc.chain and (not pc.emitted or self.choose.random() < 0.5):
                pc.step()
                self._check(page)
                self._drive(page)
            else:
                event = pc.next_event()
                if isinstance(event, events.ChannelOpened):
                    pc.open.add(event.label)
                elif isinstance(event, events.ChannelClosed):
                    pc.open.discard(event.label)
                self.receive(page, OfPeer(pc.peer, event))

        self.after(self.moment(), step)

    def _close_peer(self, page: Page) -> None:
        pc = page.pc
        assert pc is not None
        page.pc, pc.is_closed = None, True
        other, peer = self.other(page), pc.channel
        if isinstance(peer, TimedPeerConnection) and pc.path is not None and self.is_alive(page, pc, pc.path):

            def closed() -> None:
                if not peer.is_closed and peer.channel is pc:
                    peer.channel = None
                    labels: list[ChannelLabel] = ["heartbeat", "messages"]
                    self.choose.shuffle(labels)
                    peer.emitted += [events.ChannelClosed(label) for label in labels]
                    self._drive(other)

            self.after(self.trip(), closed)

    def _send(self, page: Page, label: ChannelLabel, text: str) -> None:
        pc = page.pc
        assert pc is not None
        peer, path = pc.channel, pc.path
        assert label in pc.open, f"InvalidStateError: {label} is not open"
        if peer is None or path is None or self.choose.random() < self.loss or not self.is_alive(page, pc, path):
            return

        def arrive() -> None:
            other = self.other(page)
            if other.is_online and other.pc is not None and other.pc is peer:
                self.receive(other, OfPeer(other.pc.peer, events.ChannelReceived(label, text)))

        self.after(self.trip(), arrive)

    def _gathered(self, page: Page, spare: Spare, kind: str) -> None:
        found = page.is_online and spare.host not in self.dead_relays
        lines = ["v=0", *(["a=candidate:1 1 udp 1 192.0.2.1 9 typ relay"] if found else []), spare.name, ""]
        description = events.SessionDescription(kind, "\r\n".join(lines))
        self._if_spare(page, spare, OfPeer(spare.id, events.LocalCandidatesEnded(description)))

    def _join_spares(self, page: Page, spare: Spare) -> None:
        other = self.other(page)
        theirs = other.spare
        if page.spare is not spare or theirs is None or (theirs.name, spare.name) != (spare.remote, theirs.remote):
            return
        spare.peer, theirs.peer = theirs, spare
        if self._is_aside_alive(page) and self._is_aside_alive(other):
            for each, its in ((page, spare), (other, theirs)):
                self.after(self.choose.choice([1, 2]) * self.trip() + 0.002, partial(self._spare_opened, each, its))

    def _spare_opened(self, page: Page, spare: Spare) -> None:
        if page.spare is spare:
            spare.is_open = True
            self.receive(page, OfPeer(spare.id, events.ChannelOpened("standby")))

    def _close_spare(self, page: Page) -> None:
        assert page.spare, "no standby to close"
        other, spare = self.other(page), page.spare
        if spare.peer and self._is_aside_alive(page):
            self.after(self.trip(), partial(self._spare_closed, other, spare.peer))
        page.spare = None

    def _spare_closed(self, page: Page, spare: Spare) -> None:
        if page.spare is spare:
            spare.is_open = False
            self.receive(page, OfPeer(spare.id, events.ChannelClosed("standby")))

    def _send_aside(self, page: Page, text: str) -> None:
        spare, other = page.spare, self.other(page)
        assert spare, "there is no standby"
        # Between a channel's end and its event what is sent is lost: its event may be waiting in the inbox.
        if self.choose.random() < self.loss or not self._is_aside_alive(page):
            return

        def arrive() -> None:
            if other.spare is spare.peer and spare.peer and spare.peer.is_open and other.is_online:
                self.receive(other, OfPeer(spare.peer.id, events.ChannelReceived("standby", text)))

        self.after(self.trip(), arrive)

    def _is_aside_alive(self, page: Page) -> bool:
        """Return whether what `page` sends over its standby arrives."""
        spare, other = page.spare, self.other(page)
        peer = spare and spare.peer
        if spare is None or peer is None or other.spare is not peer:
            return False
        is_there = page.is_online and other.is_online and spare.born > page.moved_at and peer.born > other.moved_at
        return is_there and spare.born > page.muted_at and not {spare.host, peer.host} & self.dead_relays

    def is_alive(self, page: Page, pc: TimedPeerConnection, path: Path) -> bool:
        """Return whether what `page` sends over `path` arrives."""
        other = self.other(page)
        born = pc.born.get(path[0], -1.0)
        peer_born = other.pc.born.get(path[1], -1.0) if other.pc else -1.0
        return (
            page.is_online
            and other.is_online
            and born > max(page.moved_at, page.muted_at)
            and peer_born > other.moved_at
            and not (pc.path == path and pc.relay and parse_ice_url(pc.relay).host in self.dead_relays)
            and not self._other_relay_is_dead(other, path)
        )

    def _other_relay_is_dead(self, other: Page, path: Path) -> bool:
        pc = other.pc
        return bool(pc and pc.path == path[::-1] and pc.relay and parse_ice_url(pc.relay).host in self.dead_relays)

    def _agreed(self, page: Page) -> Path | None:
        """Return the path that both ends would take now."""
        pc, other = page.pc, self.other(page).pc
        if pc is None or other is None or (path := pc.own_path()) is None or other.own_path() != path[::-1]:
            return None
        return path

    def _check(self, page: Page) -> None:
        """Begin connectivity checks at both ends if the descriptions are there."""
        if (path := self._agreed(page)) is None:
            return
        other = self.other(page)
        for each, its in ((page, path), (other, path[::-1])):
            if each.pc is not None and each.pc.path != its:
                each.pc.dead_since = each.pc.dead_since or self.now
                self._check_after(each, each.pc, its, 2 * self.trip() + self.moment())

    def _check_after(self, page: Page, pc: TimedPeerConnection, path: Path, seconds: float) -> None:
        self.after(seconds, partial(self._checked, page, pc, path))

    def _checked(self, page: Page, pc: TimedPeerConnection, path: Path) -> None:
        other = self.other(page)
        if page.pc is not pc or pc.is_closed or pc.path == path or self._agreed(page) != path:
            return
        pc.relay, previous = "", pc.relay
        works = other.pc is not None and self.is_alive(page, pc, path) and self.is_alive(other, other.pc, path[::-1])
        relay = self._relay(page, pc, path)
        # The one that has no relay in it can only follow the other one there.
        is_led = self.is_direct or bool(relay) or bool(other.pc and other.pc.path == path[::-1])
        if works and is_led:
            self._connected(page, pc, path, "" if self.is_direct and not self._only_relay(pc, path) else relay)
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
        alive, other = self._alive(_relays(pc, path[0])), self.other(page).pc
        if not alive or (page is self.b and other is not None and self._alive(_relays(other, path[1]))):
            return ""
        return alive[0]

    def _alive(self, urls: list[str]) -> list[str]:
        return [url for url in urls if parse_ice_url(url).host not in self.dead_relays]

    def _connected(self, page: Page, pc: TimedPeerConnection, path: Path, relay: str) -> None:
        pc.path, pc.relay, pc.dead_since = path, relay, None
        other = self.other(page)
        if other.pc is not None:
            other.pc.remote_relay = bool(relay)
        pc.is_now("connected")
        pc.emitted.append(events.PairChanged())
        self._drive(page)
        if other.pc is not None and other.pc.path == path[::-1]:
            for each in (page, other):
                self.after(self.choose.choice([1, 2]) * self.trip() + 0.002, partial(self._channel, each))

    def _channel(self, page: Page) -> None:
        pc, peer = page.pc, self.other(page).pc
        if pc is None or peer is None or pc.channel is not None or pc.path is None or peer.path != pc.path[::-1]:
            return
        pc.channel = peer
        labels: list[ChannelLabel] = ["messages", "heartbeat"]
        self.choose.shuffle(labels)
        pc.emitted += [events.ChannelOpened(label) for label in labels]
        self._drive(page)

    def _monitor(self) -> None:
        """Let the browsers notice dead paths, slowly, as browsers do."""
        for page in self.pages.values():
            pc = page.pc
            if pc is None:
                continue
            if pc.path is not None:
                other = self.other(page)
                alive = (
                    other.pc is not None
                    and self.is_alive(page, pc, pc.path)
                    and self.is_alive(other, other.pc, pc.path[::-1])
                )
                if alive:
                    pc.dead_since = None
                    pc.is_now("connected")
                elif pc.dead_since is None:
                    pc.dead_since = self.now
            if pc.dead_since is not None:
                silence = self.now - pc.dead_since
                if silence > FAILED_AFTER:
                    pc.is_now("failed")
                elif silence > DISCONNECTED_AFTER and pc.connection_state == "connected":
                    pc.is_now("disconnected")
            self._drive(page)
            self._watch_spare(page)
        self.server.now = self.now
        self.server.pass_time(0.0)
        self._pump()
        self.after(0.5, self._monitor)

    def _watch_spare(self, page: Page) -> None:
        spare = page.spare
        if spare is None or not spare.is_open:
            return
        if self._is_aside_alive(page) and self._is_aside_alive(self.other(page)):
            spare.dead_since = None
        elif self.now - (spare.dead_since or self.now) > FAILED_AFTER:
            self.receive(page, OfPeer(spare.id, events.StateChanged("connection", "failed")))
        else:
            spare.dead_since = spare.dead_since or self.now

    # The end.

    def is_calm(self) -> bool:
        """Return whether nothing is left to be done."""
        return all(
            page.state == "connected"
            and page.session.connection is not None
            and page.health.is_healthy
            and page.session.connection.negotiation.state == "stable"
            and page.heard == self.other(page).said
            and all(message.delivered for message in page.session.conversation.messages if message.mine)
            and page.pc is not None
            and page.pc.path == page.pc.own_path()
            and page.timers.keys() <= CONSTANT_TIMERS
            for page in self.pages.values()
        )

    def rest(self, *, most: float = 90.0) -> float:
        """Run until everything is well and stays so for a while; return when it was, in seconds from now."""
        start = self.now
        while True:
            calm_at = self.now
            while self.is_calm():
                if self.now - calm_at >= 1.5:
                    return calm_at - start
                self.run(0.25)
            self.run(0.25)
            assert self.now - start < most, f"no rest: {self.words()}"

    def check(self, *, connections: int = 1) -> None:
        """Assert that nothing was lost or came twice, and that the two agree on one ICE generation."""
        for page in self.pages.values():
            other = self.other(page)
            assert page.state == "connected", self.words()
            assert page.heard == other.said, self.words()
            assert page.session.faults == 0
            assert page.pc is not None
            assert other.pc is not None
            assert username_fragments(page.pc.current_local) == username_fragments(other.pc.current_remote)
            assert not page.pc.restart_wanted
            assert page.timers.keys() <= CONSTANT_TIMERS
            assert page.connections <= connections, self.words()
        generations = {
            page.session.connection.negotiation.ice_generation
            for page in self.pages.values()
            if page.session.connection
        }
        assert len(generations) == 1, self.words()


def _relays(pc: TimedPeerConnection, fragment: str) -> list[str]:
    """Return the URLs of the relays that were asked for in the ICE generation of `fragment`."""
    return [url for server in pc.asked[fragment].servers for url in server.urls if url.startswith("turn")]


def _spare_of(description: events.SessionDescription) -> str:
    """Return the name of the one that a description is of."""
    return description.sdp.split("\r\n")[-2]
