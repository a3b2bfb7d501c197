"""The servers that `signaling.py` compares, each in its own protocol, and a bare relay as the floor under both.

A set-up has the frames of two pages in Chromium, which tells each candidate in a task of its own. Of six candidates a
side, a number that we chose:

- who waits in ours sends its offer, and all its candidates with their end in one frame, as `Rendezvous.send` does if
  gathering takes less than `TOGETHER_AFTER`: each further such time, as with a far TURN server, is one frame more;
- who answers in ours sends each candidate, and the end of them, alone, for somebody waits for it;
- PeerJS's client sends each candidate alone, at both sides, and no end of them (`onicecandidate` of its negotiator).
"""

import asyncio
import contextlib
import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.ice.coturn import free_port
from pyapp.protocol.peer import Candidate, Description, PeerMessage
from pyapp.protocol.signaling import Join, Leave, Relay
from pyapp.protocol.wire import encode, to_json
from tests.bench.client import Client, frame

ROOT = Path(__file__).parents[2]
CANDIDATES = 6
CANDIDATE = Candidate(
    "candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 192.168.1.5 rport 46154 generation 0"
    " ufrag EEtu network-cost 999",
    "0",
    0,
    "EEtu",
)
GATHERED = (*(CANDIDATE,) * CANDIDATES, Candidate("", "0", 0, "EEtu"))
"""What a page of ours tells of its candidates: the last one is the end of them."""
SAID = 1 + len(GATHERED)
"""The messages of a side, with its description."""
SDP = "v=0\r\n" + "a=x-some-attribute-of-a-session:0123456789\r\n" * 60
"""About as long as an offer of a data channel and one camera."""


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

    def message(self, _: Client) -> bytes:
        return frame(encode(Relay("", 2, 1, CANDIDATE, 1, 1)))

    async def set_up(self, server: Server) -> tuple[Client, Client]:
        session = secrets.token_hex(8)
        first = await server.connect("/ws")
        first.send(self._join(session))
        await first.heard(1)
        first.send(*self._waiting())  # who waits has offered
        second = await server.connect("/ws")
        second.send(self._join(session))
        await asyncio.gather(first.heard(2), second.heard(2))  # what was kept comes in one frame
        second.send(*self._answering())
        await first.heard(2 + SAID)
        first.send(frame(encode(Relay("", 0, SAID, None, 1, 1))))
        await second.heard(3)
        return first, second

    def leave(self, client: Client) -> None:
        client.send(frame(encode(Leave())))
        client.close()

    @staticmethod
    def _join(session: str) -> bytes:
        return frame(encode(Join(session, secrets.token_hex(16), secrets.token_hex(16))))

    @staticmethod
    def _waiting() -> list[bytes]:
        candidate, *more = GATHERED
        relays = Relay("", 1, 0, Description("offer", SDP, 1), 1), Relay("", 2, 0, candidate, 1, more=tuple(more))
        return [frame(encode(relay)) for relay in relays]

    @staticmethod
    def _answering() -> list[bytes]:
        """Return its frames, which acknowledge as well: as of a page, none is for that alone."""
        said: tuple[PeerMessage, ...] = (Description("answer", SDP, 1), *GATHERED)
        return [frame(encode(Relay("", number, SAID, one, 1, 1))) for number, one in enumerate(said, 1)]


class PeerJs:
    """Theirs, as its own command line runs it."""

    name = "peerjs-server"
    command: Sequence[str] = (
        *("node", "node_modules/peer/dist/bin/peerjs.js", "--path", "/"),
        *("--alive_timeout", "3600000"),  # ms: a client here sends no heartbeats, and was closed after a minute
    )

    def __init__(self) -> None:
        self._ids: dict[Client, tuple[str, str]] = {}

    async def pair(self, server: Server) -> tuple[Client, Client]:
        ids = secrets.token_hex(16), secrets.token_hex(16)
        first, second = [await server.connect(self._path(one)) for one in ids]
        await asyncio.gather(first.heard(1), second.heard(1))
        self._ids[first], self._ids[second] = ids, (ids[1], ids[0])
        return first, second

    def message(self, client: Client) -> bytes:
        return self._candidate(self._ids[client][1])

    async def set_up(self, server: Server) -> tuple[Client, Client]:
        first, second = await self.pair(server)
        for client, kind, other in ((first, "OFFER", second), (second, "ANSWER", first)):
            _, target = self._ids[client]
            payload = {"sdp": {"type": kind.lower(), "sdp": SDP}, "type": "data", "connectionId": "dc_0123456789a"}
            message = frame(json.dumps({"type": kind, "dst": target, "payload": payload}, separators=(",", ":")))
            client.send(message, *[self._candidate(target)] * CANDIDATES)
            await other.heard(2 + CANDIDATES)
        return first, second

    def leave(self, client: Client) -> None:
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


class Bare:
    """The floor: a relay in Python on the same event loop, which knows frames and nothing of what is in them."""

    name = "bare relay"
    command: Sequence[str] = (sys.executable, "-m", "tests.bench.bare")

    async def pair(self, server: Server) -> tuple[Client, Client]:
        path = f"/{secrets.token_hex(8)}"
        first, second = await server.connect(path), await server.connect(path)
        await asyncio.gather(first.heard(1), second.heard(1))
        return first, second

    def message(self, client: Client) -> bytes:
        return Console().message(client)


Subject = Console | PeerJs | Bare


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
