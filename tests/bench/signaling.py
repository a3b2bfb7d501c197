"""What carrying signaling costs the server, beside `peerjs-server` (npm `peer`): `make bench-signaling`.

The servers share a core, and the clients have another; the two are asked in turns, with the same number of sessions:

- `messages`: candidates relayed for each second of the server's CPU, all sessions at once, one on its way in each;
- `set-ups`: whole sessions for each second of its CPU, from the upgrade of both WebSockets to the last candidate and
  the goodbye, each in its own protocol: ours acknowledges, keeps what was said to nobody yet, and sends what comes
  together together; peerjs-server passes each message on alone;
- `memory`: what a socket adds to its resident memory, in kB, idle and joined;
- `p99`: how long a message takes, ms, at 1,000 messages a second over all sessions.

It fails if a target is missed.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop

from backend.access.limits import Limits
from backend.ice.coturn import free_port
from backend.settings import Settings
from backend.web.server import serving
from pyapp.protocol.peer import Candidate, Description
from pyapp.protocol.signaling import Join, Leave, Relay
from pyapp.protocol.wire import encode, to_json

ROOT = Path(__file__).parents[2]
SIZES = (50, 500, 2000)
TARGETS = {"messages": 0.8, "set-ups": 1.2, "memory": 1.2}
"""Ours over theirs: at least, and of memory at most."""
ROUNDS = 5
VISIBLE = 500
"""Sessions from which memory counts: those of fewer fit into what a garbage collector has in reserve."""
MESSAGES = 10_000
SET_UPS = 200
SETTLED = 0.3
"""Seconds after which the set-ups of a round are in the journal."""
RATE = 1000  # messages a second, for p99
CANDIDATES = 6
MOMENTS = 3
"""In which they are found: host, server reflexive, relayed. Ours sends what is found at one moment in one frame."""
UNLIMITED = Limits(
    messages_per_second=1e9,
    message_burst=1e9,
    sessions_per_address=1 << 20,
    sockets_per_address=1 << 20,
    sockets=1 << 20,
    unjoined_sockets=1 << 20,
    unjoined_per_address=1 << 20,
    heartbeat=60.0,  # a busy machine is no dead socket
)
CANDIDATE = Candidate(
    "candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 192.168.1.5 rport 46154 generation 0"
    " ufrag EEtu network-cost 999",
    "0",
    0,
    "EEtu",
)
SDP = "v=0\r\n" + "a=x-some-attribute-of-a-session:0123456789\r\n" * 60
"""About as long as an offer of a data channel and one camera."""


class Client(asyncio.Protocol):
    """A WebSocket client that does as little as it can (RFC 6455): it counts the frames that come."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._buffer = b""
        self._is_open = False
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self.came = 0
        self.on_frame: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head.partition(b"\r\n")[0], head
            self._is_open, self._buffer = True, rest
        while (size := _whole(self._buffer)) is not None:
            opcode, self._buffer = self._buffer[0] & 15, self._buffer[size:]
            if opcode == 9:
                self.transport.write(b"\x8a\x80\0\0\0\0")
            elif opcode == 1:
                self._frame_came()

    def _frame_came(self) -> None:
        self.came += 1
        if self.on_frame:
            self.on_frame()
        if self._waiter and self.came >= self._wanted and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError("the server closed the socket"))

    async def heard(self, count: int) -> None:
        """Wait until `count` frames have come in all."""
        if self.came < count:
            self._wanted, self._waiter = count, asyncio.get_running_loop().create_future()
            await asyncio.wait_for(self._waiter, 60)

    def send(self, *frames: bytes) -> None:
        self.transport.write(b"".join(frames))

    def close(self) -> None:
        self.transport.close()


def _whole(buffer: bytes) -> int | None:
    """Return how many bytes the first frame takes, None if it is not there as a whole."""
    if len(buffer) < 2:
        return None
    size, start = buffer[1] & 127, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        size = int.from_bytes(buffer[2:start])
    return start + size if len(buffer) >= start + size else None


def frame(text: str) -> bytes:
    """Return a client's text frame; its mask of zeros costs the server as much as any."""
    payload = text.encode()
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return b"\x81" + length + b"\0\0\0\0" + payload


@dataclass
class Server:
    """One of the two, running. `pid` is the process whose costs count."""

    pid: int
    port: int

    def cpu(self) -> float:
        """Seconds that it has computed so far, with all its threads: its CPU clock (`clock_getcpuclockid(3)`)."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def memory(self) -> float:
        """Its resident memory, kB."""
        match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert match
        return float(match[1])

    async def connect(self, path: str) -> Client:
        _, client = await asyncio.get_running_loop().create_connection(lambda: Client(path), "127.0.0.1", self.port)
        return client


class Console:
    """Ours: `server.py` with other limits."""

    name = "console"
    command: Sequence[str] = (sys.executable, "-m", "tests.bench.signaling", "--serve")

    async def pair(self, server: Server) -> tuple[Client, Client]:
        session = secrets.token_hex(8)
        first = await server.connect("/ws")
        first.send(self._join(session))
        await first.heard(1)
        second = await server.connect("/ws")
        second.send(self._join(session))
        await asyncio.gather(first.heard(2), second.heard(1))
        return first, second

    def message(self, _: Client, number: int) -> bytes:
        return frame(encode(Relay("", number + 1, number, CANDIDATE, 1, 1)))

    async def set_up(self, server: Server) -> None:
        session = secrets.token_hex(8)
        first = await server.connect("/ws")
        first.send(self._join(session))
        await first.heard(1)
        first.send(*self._side("offer"))  # who waits has offered
        second = await server.connect("/ws")
        second.send(self._join(session))
        await asyncio.gather(first.heard(2), second.heard(2 + MOMENTS))
        second.send(*self._side("answer", acknowledged=1 + CANDIDATES))  # as a page does: no frame of its own for it
        await first.heard(3 + MOMENTS)
        first.send(frame(encode(Relay("", 0, 1 + CANDIDATES, None, 1, 1))))
        await second.heard(3 + MOMENTS)
        for client in (first, second):
            client.send(frame(encode(Leave())))
            client.close()

    @staticmethod
    def _join(session: str) -> bytes:
        return frame(encode(Join(session, secrets.token_hex(16), secrets.token_hex(16))))

    @staticmethod
    def _side(kind: str, *, acknowledged: int = 0) -> list[bytes]:
        known = 1 if acknowledged else 0
        frames = [Relay("", 1, acknowledged, Description(kind, SDP, 1), 1, known)]
        together = CANDIDATES // MOMENTS
        more = (CANDIDATE,) * (together - 1)
        frames += [Relay("", 2 + place * together, acknowledged, CANDIDATE, 1, known, more) for place in range(MOMENTS)]
        return [frame(encode(relay)) for relay in frames]


class PeerJs:
    """Theirs, as its own command line runs it."""

    name = "peerjs-server"
    command: Sequence[str] = ("node", "node_modules/peer/dist/bin/peerjs.js", "--path", "/")

    def __init__(self) -> None:
        self._ids: dict[Client, tuple[str, str]] = {}

    async def pair(self, server: Server) -> tuple[Client, Client]:
        ids = secrets.token_hex(16), secrets.token_hex(16)
        first, second = [await server.connect(self._path(one)) for one in ids]
        await asyncio.gather(first.heard(1), second.heard(1))
        self._ids[first], self._ids[second] = ids, (ids[1], ids[0])
        return first, second

    def message(self, client: Client, _: int) -> bytes:
        return self._candidate(self._ids[client][1])

    async def set_up(self, server: Server) -> None:
        first, second = await self.pair(server)
        for client, kind, other in ((first, "OFFER", second), (second, "ANSWER", first)):
            _, target = self._ids[client]
            payload = {"sdp": {"type": kind.lower(), "sdp": SDP}, "type": "data", "connectionId": "dc_0123456789a"}
            message = frame(json.dumps({"type": kind, "dst": target, "payload": payload}, separators=(",", ":")))
            client.send(message, *[self._candidate(target)] * CANDIDATES)
            await other.heard(2 + CANDIDATES)
        for client in (first, second):
            client.send(frame('{"type":"LEAVE"}'))
            client.close()
            del self._ids[client]

    @staticmethod
    def _path(one: str) -> str:
        return f"/peerjs?key=peerjs&id={one}&token={secrets.token_hex(8)}&version=1.5.4"

    @staticmethod
    def _candidate(target: str) -> bytes:
        candidate = {name: value for name, value in to_json(CANDIDATE).items() if name != "kind"}
        payload = {"candidate": candidate, "type": "data", "connectionId": "dc_0123456789a"}
        return frame(json.dumps({"type": "CANDIDATE", "dst": target, "payload": payload}, separators=(",", ":")))


Subject = Console | PeerJs


@contextlib.asynccontextmanager
async def running(subject: Subject, core: int) -> AsyncIterator[Server]:
    """Run a server on a core of its own."""
    process = await asyncio.create_subprocess_exec(
        *("taskset", "--cpu-list", str(core), *subject.command),
        *("--port", str(free_port(["127.0.0.1"], preferred=9000))),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout
    try:
        while not (match := re.search(rb"(?:port: |127\.0\.0\.1:)(\d+)", line := await process.stdout.readline())):
            assert line, f"{subject.name} has ended"
        drain = asyncio.create_task(process.stdout.read())
        yield Server(process.pid, int(match[1]))
        drain.cancel()
    finally:
        process.terminate()
        await process.wait()


Pairs = list[tuple[Client, Client]]
Figures = dict[str, float]
"""By the names of the module's text."""


@dataclass
class Trial:
    """One server, with its sessions."""

    subject: Subject
    server: Server
    pairs: Pairs = field(default_factory=list)

    async def fill(self, sessions: int) -> float:
        """Begin so many sessions, and return what a socket takes of memory."""
        for _ in range(20):  # warm
            await self.subject.set_up(self.server)
        before = self.server.memory()
        self.pairs = [await self.subject.pair(self.server) for _ in range(sessions)]
        await asyncio.sleep(0.5)
        memory = (self.server.memory() - before) / (2 * sessions)
        await _exchange(self.subject, self.pairs, MESSAGES // 2)
        return memory

    async def round(self) -> Figures:
        """Return the costs of one round."""
        figures: Figures = {}
        cpu = self.server.cpu()
        await _exchange(self.subject, self.pairs, MESSAGES)
        figures["messages"] = MESSAGES / (self.server.cpu() - cpu)
        cpu = self.server.cpu()
        for _ in range(SET_UPS // 10):
            await asyncio.gather(*(self.subject.set_up(self.server) for _ in range(10)))
        await asyncio.sleep(SETTLED)  # what is written afterwards counts as well
        figures["set-ups"] = SET_UPS / (self.server.cpu() - cpu)
        return figures

    def end(self) -> None:
        """Close the sessions."""
        for client in (client for pair in self.pairs for client in pair):
            client.close()


async def measure(sessions: int, core: int) -> tuple[Figures, Figures]:
    """Return what ours and theirs cost with so many sessions.

    They take turns, and of each the median round counts: whatever else the machine does is the same for both.
    """
    async with running(Console(), core) as ours, running(PeerJs(), core) as theirs:
        trials = Trial(Console(), ours), Trial(PeerJs(), theirs)
        memory = [await trial.fill(sessions) for trial in trials]
        rounds = [[await trial.round() for trial in trials] for _ in range(ROUNDS)]
        found: list[Figures] = []
        for place, trial in enumerate(trials):
            mine = [each[place] for each in rounds]
            figures = {name: statistics.median(one[name] for one in mine) for name in mine[0]}
            found.append(figures | {"memory": memory[place], "p99": await latency(trial.subject, trial.pairs)})
            trial.end()
    return found[0], found[1]


async def _exchange(subject: Subject, pairs: Sequence[tuple[Client, Client]], count: int) -> None:
    """Have `count` messages relayed, each sent when the one before it in the session has come."""
    done = asyncio.get_running_loop().create_future()
    left = count

    def answer(client: Client, other: Client) -> Callable[[], None]:
        message = subject.message(client, 1)

        def came() -> None:
            nonlocal left
            left -= 1
            if left > 0:
                client.send(message)
            elif not done.done():
                done.set_result(None)

        return came

    for first, second in pairs:
        first.on_frame, second.on_frame = answer(first, second), answer(second, first)
    for first, _ in pairs:
        first.send(subject.message(first, 1))
    await asyncio.wait_for(done, 120)
    await asyncio.sleep(0.2)  # what is still on its way
    for client in (client for pair in pairs for client in pair):
        client.on_frame = None


async def latency(subject: Subject, pairs: Sequence[tuple[Client, Client]]) -> float:
    """Return the 99th percentile, in ms, of how long a message takes at `RATE`."""
    took: list[float] = []
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in range(3 * RATE):
        first, second = pairs[number % len(pairs)]
        if (pause := start + number / RATE - loop.time()) > 0:
            await asyncio.sleep(pause)
        sent = time.perf_counter()
        second.on_frame = lambda sent=sent: took.append(time.perf_counter() - sent)
        first.send(subject.message(first, 1))
    await asyncio.sleep(0.5)
    return statistics.quantiles(took, n=100)[98] * 1000


async def compare(sizes: Sequence[int], core: int) -> bool:
    """Print the table; return whether every target is met."""
    print(f"{'':>24}" + "".join(f"{name:>26}" for name in ("messages/CPU s", "set-ups/CPU s", "kB a socket", "p99 ms")))
    met = True
    for sessions in sizes:
        ours, theirs = await measure(sessions, core)
        cells = []
        for name in ("messages", "set-ups", "memory", "p99"):
            one, other = ours[name], theirs[name]
            ratio = one / other
            cells.append(f"{one:>9,.1f} /{other:>9,.1f} ={ratio:>4.2f}")
            if name in TARGETS and not (name == "memory" and sessions < VISIBLE):
                met &= ratio <= TARGETS[name] if name == "memory" else ratio >= TARGETS[name]
        print(f"{sessions:>7,} sessions        " + "".join(f"{cell:>26}" for cell in cells), flush=True)
    print("ours / peerjs-server = ratio; wanted: " + ", ".join(f"{name} {value}" for name, value in TARGETS.items()))
    return met


async def serve(port: int) -> None:
    """Be the server that is measured."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(port=port, turn=False, open_to_all=True, journal=Path(folder), limits=UNLIMITED)
        async with serving(settings) as server:
            gc.freeze()  # as `server.py` does
            gc.set_threshold(50_000, 20, 100)
            print(server.address, flush=True)
            await asyncio.Event().wait()


def main() -> int:
    """Run the benchmark, or, with `--serve`, the server in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=SIZES)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(serve(options.port))
        return 0
    own, *_, core = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {own})
    return 0 if uvloop.run(compare(options.sessions, core)) else 1


if __name__ == "__main__":
    sys.exit(main())
