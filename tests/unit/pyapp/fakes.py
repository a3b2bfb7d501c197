"""A browser's `RTCPeerConnection` as far as offers, answers and candidates go, for tests without a browser.

It follows the specification (W3C WebRTC 1.0, section 4.4): calls are chained, a remote offer rolls a local one back,
`negotiationneeded` fires again while something is still not negotiated. It is strict where browsers are: a candidate
without its description, or an answer without an offer, is refused.
"""

import itertools
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from backend.signaling.frames import RelayFrame, read, write
from backend.signaling.rooms import Close, Departed, Output, Rooms
from pyapp.core import commands, events
from pyapp.core.commands import PeerCommand
from pyapp.core.events import PeerEvent
from pyapp.protocol.ice import parse_candidate, username_fragments
from pyapp.protocol.journal import Journal, Journaled, JournalEntry
from pyapp.protocol.peer import Candidate
from pyapp.protocol.signaling import ClientMessage, Join, Leave, Ping, Pong, ServerMessage, decode_server
from pyapp.protocol.wire import encode


def gathered(name: str) -> tuple[str, str]:
    """Return what the browser `name` finds in each ICE generation: each side has a network of its own."""
    site = 1 + "ab".find(name[0])
    return (
        f"candidate:1 1 udp 2122252543 192.0.2.{site} 9 typ host",
        f"candidate:2 1 udp 1685987071 203.0.113.{site} 9 typ srflx raddr 0.0.0.0 rport 0",
    )


def sdp(fragment: str, media: int = 0) -> str:
    return f"v=0\r\nm=\r\na=mid:0\r\na=ice-ufrag:{fragment}\r\na=x-media:{media}\r\n"


@dataclass(frozen=True)
class LocalDescriptionDue:
    """`setLocalDescription()` is done; which description is there is seen when the page hears of it."""

    attempt: int


@dataclass
class FakePeerConnection:
    """`emitted` is what the browser's loop will deliver, `chain` the calls that wait; `step()` performs one."""

    name: str
    state: Literal["stable", "have-local-offer", "have-remote-offer"] = "stable"
    wanted_media: int = 1
    chain: deque[PeerCommand] = field(default_factory=deque)
    emitted: "deque[PeerEvent | LocalDescriptionDue]" = field(default_factory=deque)
    current_type: Literal["offer", "answer"] = "offer"
    current_local: str = ""
    current_remote: str = ""
    pending_local: str = ""
    pending_remote: str = ""
    applied: set[str] = field(default_factory=set)
    """The addresses of the other side's candidates, each after the fragment of its generation."""
    priorities: dict[str, list[int]] = field(default_factory=dict)
    """Theirs by fragment, in the order in which the generations came."""
    failures: list[str] = field(default_factory=list)
    restart_wanted: bool = False
    generations: int = 0
    needed_fired: bool = False

    def start(self) -> None:
        self._update_negotiation_needed()

    def want_media(self) -> None:
        self.wanted_media += 1
        self._update_negotiation_needed()

    def perform(self, command: PeerCommand) -> None:
        if isinstance(command, commands.RestartIce):
            self.restart_wanted = True
            self._update_negotiation_needed()
        else:
            self.chain.append(command)

    def step(self) -> None:
        command = self.chain.popleft()
        match command:
            case commands.SetLocalDescription(attempt):
                self._set_local(attempt)
            case commands.SetRemoteDescription(attempt, description):
                self._set_remote(attempt, description)
            case commands.AddIceCandidate(candidate):
                self._add(candidate)
            case commands.KeepChecking():
                pass  # of the checks' pace, which there is none of here
            case _:
                raise AssertionError(command)

    def next_event(self) -> PeerEvent:
        """Return what the browser's loop delivers next."""
        event = self.emitted.popleft()
        if isinstance(event, LocalDescriptionDue):
            # As Chromium does: by now a remote offer may have rolled back what this call had set.
            kind = "offer" if self.pending_local else self.current_type
            return events.LocalDescriptionSet(event.attempt, events.SessionDescription(kind, self.local))
        return event

    @property
    def local(self) -> str:
        return self.pending_local or self.current_local

    @property
    def remote(self) -> str:
        return self.pending_remote or self.current_remote

    def _set_local(self, attempt: int) -> None:
        if self.state == "have-remote-offer":
            renewed = username_fragments(self.pending_remote) != username_fragments(self.current_remote)
            fragment = self._fragment(new=renewed)
            answer = sdp(fragment, _media(self.pending_remote))
            self._commit(answer, self.pending_remote)
            self.current_type = "answer"
            self.emitted.append(LocalDescriptionDue(attempt))
            self._stable()
        else:
            fragment = self._fragment(new=self.restart_wanted)
            self.pending_local = sdp(fragment, max(self.wanted_media, _media(self.current_local)))
            self.state = "have-local-offer"
            self.needed_fired = False
            self.emitted.append(LocalDescriptionDue(attempt))
        self._gather(fragment)

    def _set_remote(self, attempt: int, description: events.SessionDescription) -> None:
        if description.type == "answer":
            if self.state != "have-local-offer":
                self._refuse("setRemoteDescription", f"answer in {self.state}", attempt)
                return
            self._commit(self.pending_local, description.sdp)
            self.current_type = "offer"
        else:
            if self.pending_local and not self.current_local:
                # Chromium may gather nothing any more, then.
                self._refuse("setRemoteDescription", "a first offer would be rolled back", attempt)
                return
            self.pending_local = ""
            self.pending_remote = description.sdp
            self.state = "have-remote-offer"
        for fragment in username_fragments(description.sdp):
            for text in _CANDIDATE.findall(description.sdp):
                self._add(Candidate(text, "0", 0, fragment))
        self.emitted.append(events.RemoteDescriptionSet(attempt, description))
        if description.type == "answer":
            self._stable()

    def _add(self, candidate: Candidate) -> None:
        if candidate.username_fragment not in username_fragments(self.remote):
            self._refuse("addIceCandidate", f"no description for {candidate.username_fragment}")
        else:
            fragment = candidate.username_fragment
            if not candidate.candidate:
                self.applied.add(f"{fragment}/")
                return
            line = parse_candidate(candidate.candidate)
            self.applied.add(f"{fragment}/{line.address}")
            self.priorities.setdefault(fragment, []).append(line.priority)

    def _commit(self, local: str, remote: str) -> None:
        if username_fragments(local) != username_fragments(self.current_local):
            self.restart_wanted = False
        self.current_local, self.current_remote = local, remote
        self.pending_local = self.pending_remote = ""
        self.state = "stable"

    def _stable(self) -> None:
        self.needed_fired = False
        self._update_negotiation_needed()

    def _update_negotiation_needed(self) -> None:
        needed = self.restart_wanted or self.wanted_media > _media(self.current_local)
        if needed and self.state == "stable" and not self.needed_fired:
            self.needed_fired = True
            self.emitted.append(events.NegotiationNeeded())

    def _fragment(self, *, new: bool) -> str:
        if self.current_local and not new:
            return next(iter(username_fragments(self.current_local)))
        self.generations += 1
        return f"{self.name}{self.generations}"

    def _gather(self, fragment: str) -> None:
        for text in gathered(self.name):
            self.emitted.append(events.LocalCandidate(Candidate(text, "0", 0, fragment), ""))
        kind = "offer" if self.pending_local else self.current_type
        self.emitted.append(events.LocalCandidatesEnded(events.SessionDescription(kind, self.local)))

    def _refuse(self, operation: str, why: str, attempt: int = 0) -> None:
        self.failures.append(f"{operation}: {why}")
        self.emitted.append(events.PeerOperationFailed(operation, why, attempt))


_CANDIDATE = re.compile(r"^a=(candidate:[^\r\n]*)", re.MULTILINE)
_MEDIA = re.compile(r"^a=x-media:(\d+)", re.MULTILINE)


def _media(description: str) -> int:
    match = _MEDIA.search(description)
    return int(match[1]) if match else 0


@dataclass(eq=False)
class Line:
    """One WebSocket: text in both directions, in order. `cut` means that nothing passes any more."""

    number: int
    """At the server."""
    socket: int = 0
    """At the page."""
    up: deque[str] = field(default_factory=deque)
    down: deque[str] = field(default_factory=deque)
    is_open: bool = False
    cut: bool = False
    closing: bool = False
    """The server closes it once `down` is empty."""
    hung_up: bool = False
    """The page closed it; the server sees that once `up` is empty."""
    is_told: bool = True
    """Whether the page hears of a cut: what dies with the network dies silently."""

    def send(self, message: ClientMessage) -> None:
        assert self.is_open, "a frame before the socket is open"
        if not self.cut:
            self.up.append(encode(message))

    def receive(self) -> ServerMessage:
        return decode_server(self.down.popleft())

    @property
    def is_over(self) -> bool:
        """Whether the page would hear of its end now."""
        return self.is_told if self.cut else self.closing and not self.down


@dataclass
class FakeServer:
    """The server's pure rooms behind lines instead of sockets. Time stands still unless a test moves `now`."""

    rooms: Rooms = field(default_factory=lambda: Rooms(30.0, server="1" * 32))
    now: float = 0.0
    lines: dict[int, Line] = field(default_factory=dict)
    journal: list[JournalEntry] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def connect(self) -> Line:
        line = Line(next(self._numbers))
        self.lines[line.number] = line
        return line

    def take(self, line: Line) -> None:
        """Take the next frame that came up `line`."""
        text = line.up.popleft()
        if line.closing:
            return
        match read(text):
            case Join() as join:
                self._perform(self.rooms.join(line.number, join, address="x"))
            case Ping(number):
                line.down.append(encode(Pong(number)))
            case RelayFrame() as relay:
                assert self.rooms.is_joined(line.number), "a frame before joining"
                self._perform(self.rooms.relay(line.number, relay, size=len(text.encode())))
            case Journal(entries):
                self.journal += entries
                line.down.append(encode(Journaled(entries[-1].number)))
            case Leave():
                self._perform(self.rooms.leave(line.number))
                line.closing = True

    def notice(self, line: Line) -> None:
        """Notice that `line` is gone."""
        del self.lines[line.number]
        self._perform(self.rooms.lose(line.number, now=self.now))

    def restart(self) -> None:
        for line in self.lines.values():
            line.cut = True
        self.lines.clear()
        self.rooms = Rooms(30.0, server=f"{int(self.rooms.server) + 1:032}")

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self._perform(self.rooms.expire(now=self.now))

    def _perform(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Departed):
                continue
            line = self.lines.get(output.socket)
            if line is None or line.closing:
                continue
            if isinstance(output, Close):
                line.closing = True
            elif not line.cut:
                line.down.append(write(output.message).decode())


@dataclass
class Sockets:
    """A page's WebSockets as `browser/signaling.py` has them: one in use, and one that is being opened beside it."""

    server: FakeServer
    line: Line | None = None
    opening: Line | None = None

    @property
    def all(self) -> list[Line]:
        return [line for line in (self.line, self.opening) if line is not None]

    def open(self, socket: int) -> Line:
        if self.opening is not None:
            self.opening.hung_up = True
        self.opening = self.server.connect()
        self.opening.socket = socket
        return self.opening

    def opened(self) -> None:
        """Use the one that was being opened in the place of the one that was there."""
        assert self.opening is not None
        if self.line is not None:
            self.line.hung_up = True
        self.line, self.opening = self.opening, None
        self.line.is_open = True

    def closed(self, line: Line) -> None:
        """Forget `line`."""
        line.up.clear()  # what the network lost does not come after the next socket's first frame
        if line is self.line:
            self.line = None
        else:
            self.opening = None

    def close(self) -> None:
        for line in self.all:
            line.hung_up = True
        self.line = self.opening = None

    def send(self, message: ClientMessage) -> None:
        if self.line is not None:
            self.line.send(message)

    def actions(self) -> list[str]:
        """Name what the page may see of its sockets next."""
        result = []
        if self.opening is not None and not self.opening.cut:
            result.append("open")
        if self.line is not None and self.line.down:
            result.append("hear")
        if self.line is not None and self.line.is_over:
            result.append("closed")
        if self.opening is not None and self.opening.is_over:
            result.append("refused")
        return result


@dataclass(eq=False)
class ConnectedPeerConnection(FakePeerConnection):
    """With connection state, a data channel and statistics; `World` in `world/` is the network between two."""

    path: tuple[str, str] | None = None
    """The fragments of both ends that are connected now."""
    dead: set[tuple[str, str]] = field(default_factory=set)
    channel: "ConnectedPeerConnection | None" = None
    """The other end of the data channel, once it was open."""
    inbound: list[str] = field(default_factory=list)
    is_closed: bool = False

    def perform(self, command: PeerCommand) -> None:
        assert not self.is_closed
        match command:
            case commands.SetConfiguration():
                pass
            case commands.SampleStats():
                self.emitted.append(events.StatsSampled(stats_of(self.path)))
            case commands.SendOnChannel(_, text):
                assert self.channel is not None, "InvalidStateError: the channel is not open"
                if not self.channel.is_closed:
                    self.channel.inbound.append(text)
            case commands.SendKeyFrame():
                pass  # of what is shown, which there is none of here
            case commands.AddMediaSections():
                self.want_media()
            case _:
                super().perform(command)

    def own_path(self) -> tuple[str, str] | None:
        """Return the fragments that this end would connect now."""
        local, remote = username_fragments(self.current_local), username_fragments(self.current_remote)
        return (next(iter(local)), next(iter(remote))) if local and remote else None

    def lose_path(self, *states: str) -> None:
        """Let the network take the path away, and tell of it in `states`."""
        if self.path is not None:
            self.dead.add(self.path)
            self.path = None
            self.emitted.extend(events.StateChanged("connection", state) for state in states)

    def close(self) -> None:
        self.is_closed = True
        other, self.channel = self.channel, None
        if other is not None and other.channel is self:
            other.channel = None
            other.emitted.append(events.ChannelClosed("messages"))
            other.lose_path("disconnected")


def stats_of(path: tuple[str, str] | None, **local: object) -> dict[str, dict[str, object]]:
    """Return the `getStats()` of a connection over `path`, with `local` changes to the local candidate."""
    if path is None:
        return {"T": {"type": "transport", "dtlsState": "new"}}
    pair = "-".join(path)
    return {
        "T": {"type": "transport", "selectedCandidatePairId": pair, "dtlsState": "connected", "tlsVersion": "FEFD"},
        pair: {"type": "candidate-pair", "localCandidateId": "L", "remoteCandidateId": "R"},
        "L": {"type": "local-candidate", "candidateType": "host", "protocol": "udp", "usernameFragment": path[0]}
        | local,
        "R": {"type": "remote-candidate", "candidateType": "host", "protocol": "udp", "usernameFragment": path[1]},
    }
