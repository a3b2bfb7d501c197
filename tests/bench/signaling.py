"""What carrying signaling costs the server, beside `peerjs-server` (npm `peer`): `make bench-signaling`.

The servers share a core, and the clients have another; they are asked in turns, with the same number of sessions:

- `messages`: candidates relayed for each second of the server's CPU. All sessions take turns, and as many messages are
  on their way however many sessions there are: the same load, on more of them;
- `floor`: the same through a relay that knows frames alone (`bare.py`): what the event loop, the kernel and a cold
  cache take. What a message costs above it, in microseconds, is ours, and is not to grow with the sessions;
- `set-ups`: for each second of its CPU, from the upgrade of both WebSockets to the last candidate and what is written
  of it, each in its own protocol: ours acknowledges, keeps what was said to nobody yet, and sends what comes together
  together; peerjs-server passes each message on alone;
- `sessions`: the same with the goodbye of both and the end of their sockets;
- `memory`: what a socket adds to its resident memory, in kB, idle and joined;
- `p99`: how long a message takes, ms, at 1,000 messages a second over all sessions.

All have done the same before they are measured, however many sessions they have: a compiler at run time needs it. It
fails if a target is missed.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from backend.access.limits import Limits
from backend.logs import write_log
from backend.settings import Settings
from backend.web.server import serving
from tests.bench.client import Client
from tests.bench.subjects import Bare, Console, PeerJs, Server, Subject, running

SIZES = (50, 500, 2000)
TARGETS = {"messages": 0.8, "set-ups": 1.2, "memory": 1.2}
"""Ours over theirs: at least, and of memory at most."""
ROUNDS = 5
VISIBLE = 500
"""Sessions from which memory counts: those of fewer fit into what a garbage collector has in reserve."""
MESSAGES = 10_000
IN_FLIGHT = 50
WARM_UP = 500
"""Set-ups before anything is measured, and twice `MESSAGES`."""
SET_UPS = 200
SETTLED = 0.3
"""Seconds after which the set-ups of a round are in the journal."""
RATE = 1000  # messages a second, for p99
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
        if not isinstance(self.subject, Bare):
            _leave(self.subject, await self._set_up(self.subject, WARM_UP))
            await asyncio.sleep(SETTLED)
        before = self.server.memory()
        self.pairs = [await self.subject.pair(self.server) for _ in range(sessions)]
        await asyncio.sleep(0.5)
        memory = (self.server.memory() - before) / (2 * sessions)
        await _exchange(self.subject, self.pairs, 2 * MESSAGES)
        return memory

    async def round(self) -> Figures:
        """Return the costs of one round."""
        figures: Figures = {}
        cpu = self.server.cpu()
        await _exchange(self.subject, self.pairs, MESSAGES)
        figures["messages"] = MESSAGES / (self.server.cpu() - cpu)
        if not isinstance(self.subject, Bare):
            cpu = self.server.cpu()
            pairs = await self._set_up(self.subject, SET_UPS)
            await asyncio.sleep(SETTLED)  # what is written afterwards counts as well
            figures["set-ups"] = SET_UPS / (self.server.cpu() - cpu)
            _leave(self.subject, pairs)
            await asyncio.sleep(SETTLED)
            figures["sessions"] = SET_UPS / (self.server.cpu() - cpu)
        return figures

    async def _set_up(self, subject: Console | PeerJs, count: int) -> Pairs:
        pairs: Pairs = []
        for _ in range(count // 10):
            pairs += await asyncio.gather(*(subject.set_up(self.server) for _ in range(10)))
        return pairs

    def end(self) -> None:
        """Close the sessions."""
        for client in (client for pair in self.pairs for client in pair):
            client.close()


async def measure(sessions: int, core: int) -> list[Figures]:
    """Return what ours, theirs and the floor cost with so many sessions.

    They take turns, and of each the median round counts: whatever else the machine does is the same for all.
    """
    async with contextlib.AsyncExitStack() as stack:
        subjects: list[Subject] = [Console(), PeerJs(), Bare()]
        trials = [Trial(subject, await stack.enter_async_context(running(subject, core))) for subject in subjects]
        memory = [await trial.fill(sessions) for trial in trials]
        rounds = [[await trial.round() for trial in trials] for _ in range(ROUNDS)]
        found: list[Figures] = []
        for place, trial in enumerate(trials):
            mine = [each[place] for each in rounds]
            figures = {name: statistics.median(one[name] for one in mine) for name in mine[0]}
            found.append(figures | {"memory": memory[place], "p99": await latency(trial.subject, trial.pairs)})
            trial.end()
    return found


def _leave(subject: Console | PeerJs, pairs: Pairs) -> None:
    for client in (client for pair in pairs for client in pair):
        subject.leave(client)


async def _exchange(subject: Subject, pairs: Pairs, count: int) -> None:
    """Have `count` messages relayed, the sessions in turn, `IN_FLIGHT` at once."""
    done = asyncio.get_running_loop().create_future()
    ways = [(first, subject.message(first)) for first, _ in pairs]
    ways += [(second, subject.message(second)) for _, second in pairs]
    sent = came = 0

    def send() -> None:
        nonlocal sent
        if sent < count:
            client, message = ways[sent % len(ways)]
            sent += 1
            client.send(message)

    def has_come() -> None:
        nonlocal came
        came += 1
        send()
        if came == count:
            done.set_result(None)

    clients = [client for pair in pairs for client in pair]
    for client in clients:
        client.on_frame = has_come
    for _ in range(min(IN_FLIGHT, len(ways))):
        send()
    await asyncio.wait_for(done, 120)
    for client in clients:
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
        first.send(subject.message(first))
    await asyncio.sleep(0.5)
    return statistics.quantiles(took, n=100)[98] * 1000


async def compare(sizes: Sequence[int], core: int) -> bool:
    """Print the table; return whether every target is met."""
    names = ("messages/CPU s", "set-ups/CPU s", "sessions/CPU s", "kB a socket", "p99 ms")
    print(f"{'':>24}" + "".join(f"{name:>26}" for name in names))
    met = True
    for sessions in sizes:
        ours, theirs, floor = await measure(sessions, core)
        cells = []
        for name in ("messages", "set-ups", "sessions", "memory", "p99"):
            one, other = ours[name], theirs[name]
            ratio = one / other
            cells.append(f"{one:>9,.1f} /{other:>9,.1f} ={ratio:>4.2f}")
            if name in TARGETS and not (name == "memory" and sessions < VISIBLE):
                met &= ratio <= TARGETS[name] if name == "memory" else ratio >= TARGETS[name]
        print(f"{sessions:>7,} sessions        " + "".join(f"{cell:>26}" for cell in cells), flush=True)
        own = 1e6 / ours["messages"] - 1e6 / floor["messages"]
        share = ours["messages"] / floor["messages"]
        print(
            f"{'floor':>16}        {floor['messages']:>22,.1f}    = {share:.2f} of it, {own:.1f} us a message above it"
        )
    print("ours / peerjs-server = ratio; wanted: " + ", ".join(f"{name} {value}" for name, value in TARGETS.items()))
    return met


async def serve(port: int) -> None:
    """Be the server that is measured: with its log, as peerjs-server has one."""
    write_log()
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
