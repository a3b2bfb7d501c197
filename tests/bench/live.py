"""What it costs to show how good a connection is: `make bench-live`.

Two connected pages: first with the line of quality alone, then with the diagnostics of one of them open, with charts.
The main thread's time is what the kernel gave to it. Every answer of `getStats()` has at least `ENTRIES` entries. A
sample is timed from the moment at which the promise resolves to the last change of the document in what follows from
it, which is all in one checkpoint of microtasks. The charts are drawn in the frame after it: what that takes, to the
last call to a canvas, is told by itself.
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
"""Of a core: the line, the open diagnostics; milliseconds from an answer of `getStats()` to the rendered sample, with
the line alone and with the diagnostics open."""

TIMED = """(() => {
  const clock = () => top.performance.now();
  top.spent ??= [];
  top.drawn ??= [];
  const wrote = () => { top.written = clock(); };
  const what = { subtree: true, childList: true, attributes: true, characterData: true };
  new MutationObserver(wrote).observe(document, what);
  const canvas = CanvasRenderingContext2D.prototype;
  for (const name of ["clearRect", "fill", "fillText", "stroke", "restore"]) {
    const draw = canvas[name];
    canvas[name] = function (...given) { draw.apply(this, given); wrote(); };
  }
  // Each hop comes after all microtasks that were queued before it, and before any other task.
  const afterMicrotasks = (then, hops = 32) => queueMicrotask(() => (hops ? afterMicrotasks(then, hops - 1) : then()));
  const ask = requestAnimationFrame;
  globalThis.requestAnimationFrame = (draw) => ask((at) => {
    const begun = clock();
    draw(at);
    afterMicrotasks(() => top.written > begun && top.drawn.push(top.written - begun));
  });
  const { getStats } = RTCPeerConnection.prototype;
  let asked = 0;
  const padded = (report) => {
    const ice = [...report.values()].filter(({ type }) => /candidate/.test(type));
    const trip = ++asked % 50 / 1000;
    const more = [];
    while (report.size + more.length < ENTRIES) {
      more.push({ ...ice[more.length % ice.length], id: `more-${more.length}`, port: 1024 + more.length });
    }
    return {
      *values() {
        for (const entry of report.values()) {
          yield entry.currentRoundTripTime === undefined ? entry : { ...entry, currentRoundTripTime: trip };
        }
        yield* more;
      },
    };
  };
  RTCPeerConnection.prototype.getStats = function () {
    const answer = getStats.call(this);
    const then = (done, failed) => answer.then((report) => {
      const given = padded(report);
      const begun = clock();
      done(given);
      afterMicrotasks(() => {
        const isShown = top.written > begun;
        top.spent.push([(isShown ? top.written : clock()) - begun, isShown]);
      });
    }, failed);
    return { then };
  };
})()""".replace("ENTRIES", str(ENTRIES))
"""Every answer says another round trip, so that there is something to write. An entry is an object only once it is read
from the report: making it is within the time."""
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
    """Of one page: its main thread's part of a core, and what followed from each answer of `getStats()`.

    `spent` are milliseconds, and whether what is shown has changed.
    """

    cpu: float
    spent: list[tuple[float, bool]]
    frames: list[float]
    """Milliseconds of each frame in which charts were drawn."""
    seconds: float

    @property
    def samples(self) -> list[float]:
        """Milliseconds of each sample that was shown."""
        return [took for took, is_shown in self.spent if is_shown]

    @property
    def sampling(self) -> float:
        """The part of a core that everything takes that follows from `getStats()`."""
        return sum(took for took, _ in self.spent) / 1000 / self.seconds

    def __str__(self) -> str:
        middle, worst = statistics.median(self.samples), statistics.quantiles(self.samples, n=20)[-1]
        sampled = f"{len(self.samples)} samples, median {middle:.1f}, p95 {worst:.1f} ms"
        drawn = f"; charts, median {statistics.median(self.frames):.1f} ms" if self.frames else ""
        return f"{self.cpu:6.2%} of a core, of which sampling {self.sampling:.2%}: {sampled}{drawn}"


async def cost(page: Page, process: int, seconds: float) -> Cost:
    """Measure for so long."""
    await page.evaluate("spent.length = drawn.length = 0")
    before = main_threads()[process]
    await asyncio.sleep(seconds)
    spent = main_threads()[process] - before
    return Cost(spent / seconds, await page.evaluate("top.spent"), await page.evaluate("top.drawn"), seconds)


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
                await context.add_init_script(TIMED)
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
    more = charts.cpu - line.cpu
    samples = [statistics.median(each.samples) for each in (line, charts)]
    print(f"with the line alone        {line}")
    print(f"with the diagnostics open  {charts}")
    print(f"the line: {line.sampling:.2%} of a core (at most {MOST_LINE:.0%})")
    print(f"the diagnostics: {more:.2%} of a core more (at most {MOST_CHARTS:.0%})")
    shown = " and ".join(f"{sample:.2f}" for sample in samples)
    print(f"getStats() to rendered, {ENTRIES} entries: {shown} ms (at most {MOST_SAMPLE:.0f})")
    return 0 if line.sampling <= MOST_LINE and more <= MOST_CHARTS and max(samples) <= MOST_SAMPLE else 1


if __name__ == "__main__":
    sys.exit(main())
