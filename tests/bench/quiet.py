"""What two connected pages cost while nobody does anything: `make bench-quiet`.

First while beats are quick, then when two quiet minutes have slowed them down; then the path is cut, and the journal
says how long it was silent before it was suspected. The main thread's time is what the kernel gave to it; bytes are
those of the transport (`bytesSent`, webrtc-stats, section 8.15), without headers of UDP and IP.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Page, async_playwright

from backend.journal.reading import entries_of
from backend.settings import Settings
from backend.web.server import serving
from pyapp.core.path.silence import QUIET_AFTER
from tests.bench.boot import launched, main_threads

WAITING = """(state) => new Promise((resolve) => {
  const look = () => document.body.dataset.state === state && resolve();
  new MutationObserver(look).observe(document.body, { attributes: true });
  look();
})"""
KEEP = """globalThis.connections = [];
const watch = (scope) => {
  scope.RTCPeerConnection = class extends scope.RTCPeerConnection {
    constructor(...given) { super(...given); top.connections.push(this); }
  };
};
watch(globalThis);"""
SENT = """async () => {
  const stats = await Promise.all(connections.map((connection) => connection.getStats()));
  const transports = stats.flatMap((report) => [...report.values()]).filter(({ type }) => type === "transport");
  return transports.reduce((sum, { bytesSent }) => sum + bytesSent, 0);
}"""
CUT = (
    "add table inet quiet; add chain inet quiet out { type filter hook output priority 0; };"
    " add rule inet quiet out meta l4proto udp drop"
)

SETTLING = 10.0
"""Seconds after connecting, and after the beats have slowed down, that are not measured."""

MOST_CPU, MOST_BYTES, MOST_SILENCE = 0.01, 1e6, 2.0
"""Of a core; an hour each way; seconds."""


@dataclass(frozen=True)
class Cost:
    """What one page costs: the part of a core that its main thread takes, and bytes that it sends in an hour."""

    cpu: float
    sent: float

    def __str__(self) -> str:
        return f"{self.cpu:6.2%} of a core, {self.sent / 1e6:.2f} MB an hour"


async def cost(pages: list[Page], seconds: float) -> Cost:
    """Measure for so long; return what the dearer of the pages takes."""
    threads, sent, begun = main_threads(), [await page.evaluate(SENT) for page in pages], time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - begun
    more = [await page.evaluate(SENT) - before for page, before in zip(pages, sent, strict=True)]
    cpu = max(spent - threads.get(process, 0.0) for process, spent in main_threads().items())
    return Cost(cpu / took, max(more) / took * 3600)


async def measure(seconds: float) -> tuple[Cost, Cost, float]:
    """Return the costs with quick beats and with slow ones, and the seconds of silence before a suspicion."""
    with tempfile.TemporaryDirectory() as scratch:
        journal = Path(scratch) / "journal"
        settings = Settings(port=0, turn=False, open_to_all=True, journal=journal)
        async with serving(settings) as console, async_playwright() as playwright:
            contexts = [await launched(playwright, f"{scratch}/{name}") for name in "ab"]
            pages = []
            for context in contexts:
                await context.add_init_script(KEEP)
                page = await context.new_page()
                await page.goto(f"{console.address}?session=quiet")
                await page.evaluate(WAITING, "ready")
                await page.click("#connect")
                pages.append(page)
            for page in pages:
                await page.evaluate(WAITING, "connected")
            connected = time.monotonic()
            await asyncio.sleep(SETTLING)
            before = await cost(pages, seconds)
            await asyncio.sleep(max(connected + QUIET_AFTER + SETTLING - time.monotonic(), 0))
            after = await cost(pages, seconds)
            nft = await asyncio.create_subprocess_exec(shutil.which("nft") or "nft", CUT)
            if await nft.wait():
                raise SystemExit("the path could not be cut")
            for page in pages:
                await page.evaluate(WAITING, "recovering")
            await asyncio.sleep(3)  # for the journal, which is streamed once a second
            for context in contexts:
                await context.close()
        entries = entries_of(journal, "quiet")
        silences = [entry["data"]["silence_ms"] / 1000 for entry in entries if entry["event"] == "suspect"]
    return before, after, max(silences)


def main() -> int:
    """Measure, print, and fail if a quiet session costs too much or notices too late."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.quiet", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement (default: %(default)s)")
    before, after, silence = asyncio.run(measure(parser.parse_args().seconds))
    print(f"while beats are quick    {before}")
    print(f"after two quiet minutes  {after} (at most {MOST_CPU:.0%}, {MOST_BYTES / 1e6:.0f} MB)")
    print(f"a cut was suspected after {silence:.2f} s of silence (at most {MOST_SILENCE:.0f} s)")
    return 0 if after.cpu <= MOST_CPU and after.sent <= MOST_BYTES and silence <= MOST_SILENCE else 1


if __name__ == "__main__":
    sys.exit(main())
