"""What it costs to show how good a connection is: `make bench-live`.

Two connected pages: first with the line of quality alone, then with the diagnostics of one of them open, with charts.
The main thread's time is what the kernel gave to it. Every answer of `getStats()` has at least `ENTRIES` entries; from
it to the rendered page everything happens in one task, which is timed.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Page, async_playwright

from backend.settings import Settings
from backend.web.server import serving
from tests.bench.boot import launched, main_threads
from tests.bench.quiet import SETTLING, WAITING

ENTRIES = 40
MOST_LINE, MOST_CHARTS, MOST_SAMPLE = 0.01, 0.03, 2.0
"""Of a core: the line, the open diagnostics; milliseconds from an answer of `getStats()` to the rendered sample."""

TIMED = """(() => {
  top.spent ??= [];
  const { getStats } = RTCPeerConnection.prototype;
  const padded = (report) => {
    const entries = [...report.values()];
    for (let more = 0; entries.length < %d; more++) {
      entries.push({ ...entries[more %% report.size], id: `more-${more}`, type: "candidate-pair" });
    }
    return { values: () => entries.values() };
  };
  RTCPeerConnection.prototype.getStats = function () {
    const answer = getStats.call(this);
    const then = (done, failed) => answer.then((report) => {
      const given = padded(report);
      const begun = performance.now();
      done(given);
      // Pyodide hands it on in a microtask: all of these are over when the next task begins.
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => top.spent.push(performance.now() - begun);
      port2.postMessage(null);
    }, failed);
    return { then };
  };
})()"""
OPEN = """async () => {
  document.getElementById("quality-more").click();
  const charts = document.getElementById("charts");
  await new Promise((resolve) => {
    const look = () => charts.querySelector("canvas") && resolve();
    new MutationObserver(look).observe(charts, { childList: true, subtree: true });
    look();
  });
}"""


@dataclass(frozen=True)
class Cost:
    """Of one page: its main thread's part of a core, and milliseconds from each answer of `getStats()` to its end."""

    cpu: float
    samples: list[float]
    seconds: float

    @property
    def sampling(self) -> float:
        """The part of a core that everything takes that follows from `getStats()`."""
        return len(self.samples) * self.sample / 1000 / self.seconds

    @property
    def sample(self) -> float:
        """Milliseconds of a sample: the first quartile, since another program on the machine only ever adds to it."""
        return statistics.quantiles(self.samples, n=4)[0]

    def __str__(self) -> str:
        median, least = statistics.median(self.samples), min(self.samples)
        sampled = f"{len(self.samples)} samples, least {least:.2f}, quartile {self.sample:.2f}, median {median:.2f} ms"
        return f"{self.cpu:6.2%} of a core, of which sampling {self.sampling:.2%}: {sampled}"


async def cost(page: Page, process: int, seconds: float) -> Cost:
    """Measure for so long."""
    await page.evaluate("spent.length = 0")
    before = main_threads()[process]
    await asyncio.sleep(seconds)
    spent = main_threads()[process] - before
    return Cost(spent / seconds, await page.evaluate("spent"), seconds)


async def measure(seconds: float) -> tuple[Cost, Cost]:
    """Return the cost of a page with the line alone, and with the diagnostics open."""
    with tempfile.TemporaryDirectory() as scratch:
        settings = Settings(port=0, turn=False, open_to_all=True, journal=Path(scratch) / "journal")
        async with serving(settings) as console, async_playwright() as playwright:
            pages: list[Page] = []
            processes: list[set[int]] = []
            for name in "ab":
                known = set(main_threads())
                context = await launched(playwright, f"{scratch}/{name}")
                await context.add_init_script(TIMED % ENTRIES)
                page = await context.new_page()
                await page.goto(f"{console.address}?session=live")
                await page.evaluate(WAITING, "ready")
                processes.append(set(main_threads()) - known)
                pages.append(page)
            for page in pages:
                await page.click("#connect")
            for page in pages:
                await page.evaluate(WAITING, "connected")
            await asyncio.sleep(SETTLING)
            busiest = max(processes[0], key=lambda process: main_threads().get(process, 0.0))
            line = await cost(pages[0], busiest, seconds)
            await pages[0].evaluate(OPEN)
            await asyncio.sleep(SETTLING)
            charts = await cost(pages[0], busiest, seconds)
            for page in pages:
                await page.context.close()
    return line, charts


def main() -> int:
    """Measure, print, and fail if it costs too much."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.live", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement (default: %(default)s)")
    line, charts = asyncio.run(measure(parser.parse_args().seconds))
    more, sample = charts.cpu - line.cpu, line.sample
    print(f"with the line alone        {line}")
    print(f"with the diagnostics open  {charts}")
    print(f"the line: {line.sampling:.2%} of a core (at most {MOST_LINE:.0%})")
    print(f"the diagnostics: {more:.2%} of a core more (at most {MOST_CHARTS:.0%})")
    print(f"getStats() to rendered, {ENTRIES} entries: {sample:.2f} ms (at most {MOST_SAMPLE:.0f})")
    return 0 if line.sampling <= MOST_LINE and more <= MOST_CHARTS and sample <= MOST_SAMPLE else 1


if __name__ == "__main__":
    sys.exit(main())
