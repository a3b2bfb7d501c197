"""What the record costs the server: `make bench-journal`.

The server has a core of its own, the clients another. It is asked in one run:

- `batches`: frames with a sample that are stored, for each second of the server's CPU, everything counted: reading,
  checking, cleaning, writing, confirming;
- `p99`: how long a signaling message takes, ms, at 1,000 messages a second over 50 sessions, in turns without and with
  2,000 batches a second from other pages; wanted is a ratio of at most 2;
- `a day`: the size of the record, MB, of one session of two pages that lasts 24 hours with an outage every hour: with a
  sample a minute, as pages send them while nothing happens, and with one every two seconds, as if something always did.

It fails if a target is missed.
"""

import argparse
import asyncio
import contextlib
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop

from pyapp.protocol.entries.sample import Sample
from pyapp.protocol.journal import Journal, JournalEntry
from pyapp.protocol.signaling import Join
from pyapp.protocol.wire import encode
from tests.bench.client import Client, frame
from tests.bench.day import record_day, sample
from tests.bench.signaling import latency
from tests.bench.subjects import ROOT, Console, Server, running

BATCHES = 2000
"""A second; the target, and the load while the p99 is measured."""
MOST_SLOWED = 2.0
MOST_MB = 10.0
PAGES = 100
SESSIONS = 50
ROUNDS = 5


class Page:
    """A page that sends batches of one sample, as fast as it is told to."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.sent = 0

    @classmethod
    async def join(cls, server: Server) -> "Page":
        client = await server.connect("/ws")
        client.send(frame(encode(Join(secrets.token_hex(8), secrets.token_hex(16), secrets.token_hex(16)))))
        await client.heard(1)
        return cls(client)

    def send(self) -> None:
        self.sent += 1
        entry = JournalEntry(self.sent, time.time() * 1000, Sample.event, sample(self.sent).data())
        self.client.send(frame(encode(Journal((entry,)))))

    async def confirmed(self) -> None:
        """Wait until everything is stored."""
        await self.client.heard(1 + self.sent)


async def batches(pages: list[Page], rate: float, seconds: float) -> None:
    """Send `rate` batches a second over `pages` for so long."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in range(int(rate * seconds)):
        if (pause := start + number / rate - loop.time()) > 0:
            await asyncio.sleep(pause)
        pages[number % len(pages)].send()


@contextlib.asynccontextmanager
async def loading(port: int) -> AsyncIterator[None]:
    """Have another process send `BATCHES` a second."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.journal", "--load", str(port)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    await process.stdout.readline()
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def load(port: int) -> None:
    """Be that process."""
    os.nice(10)  # the clock that is read is that of the signaling clients, on the same core
    pages = [await Page.join(Server(0, port)) for _ in range(PAGES)]
    print("sending", flush=True)
    await batches(pages, BATCHES, 3600)


async def measure(core: int) -> bool:
    """Print the figures; return whether every target is met."""
    console = Console()
    async with running(console, core) as server:
        pages = [await Page.join(server) for _ in range(PAGES)]
        pairs = [await console.pair(server) for _ in range(SESSIONS)]
        await batches(pages, BATCHES, 2)  # warm
        before, started = server.cpu(), time.monotonic()
        await batches(pages, BATCHES, 5)
        await asyncio.gather(*(page.confirmed() for page in pages))
        capacity = BATCHES * 5 / (server.cpu() - before)
        took = time.monotonic() - started
        alone, beside = [], []
        await latency(console, pairs)
        for _ in range(ROUNDS):
            alone.append(await latency(console, pairs))
            async with loading(server.port):
                beside.append(await latency(console, pairs))
    slowed = statistics.median(beside) / statistics.median(alone)
    print(
        f"batches   {capacity:,.0f} for each second of CPU (at least {BATCHES:,}); 10,000 were stored in {took:.2f} s"
    )
    print(
        f"p99       {statistics.median(alone):.2f} ms alone, {statistics.median(beside):.2f} ms beside"
        f" {BATCHES:,} batches a second: {slowed:.2f} times (at most {MOST_SLOWED:g})"
    )
    sizes = [day(every) for every in (60.0, 2.0)]
    print(f"a day     {sizes[0]:.1f} MB with a sample a minute, {sizes[1]:.1f} MB with 30 (at most {MOST_MB:g})")
    return capacity >= BATCHES and slowed <= MOST_SLOWED and max(sizes) < MOST_MB


def day(every: float) -> float:
    """Return the size in MB of the record of a day, with samples so many seconds apart."""
    with tempfile.TemporaryDirectory() as folder:
        return record_day(Path(folder), every).stat().st_size / 1e6


def main() -> int:
    """Run the benchmark, or with `--load` the pages in it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.journal", description=__doc__)
    parser.add_argument("--load", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(load(options.load))
        return 0
    own, *_, core = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {own})
    return 0 if uvloop.run(measure(core)) else 1


if __name__ == "__main__":
    sys.exit(main())
